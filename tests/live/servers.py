"""Small servers and clients that run in workloads, as program texts."""

ECHO = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        if "first" in sys.argv:
            self.request.sendall(b"welcome")
        while data := self.request.recv(1000):
            self.request.sendall(b"echo " + data)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Echo).serve_forever()
"""
NAMED = """
import http.server, os, sys
class Named(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Named).serve_forever()
"""
GRPC = """
import concurrent.futures, os, sys, grpc
def answer(details):
    if details.method == "/grpc.health.v1.Health/Check":
        print("asked", flush=True)
        said = bytes((8, int(sys.argv[2])))
    else:
        said = os.environ["HOSTNAME"].encode()
    return grpc.unary_unary_rpc_method_handler(lambda request, context: said)
class Answers(grpc.GenericRpcHandler):
    def service(self, details):
        return answer(details)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=(Answers(),))
server.add_insecure_port("0.0.0.0:" + sys.argv[1])
server.start()
server.wait_for_termination()
"""

GRPC_CALL = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    say = channel.unary_unary("/test.Talker/Say")
    for _ in range(int(sys.argv[2])):
        print(say(b"", timeout=5).decode())
"""
