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
SLOW = """
import http.server, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    begun = 0
    def do_GET(self):
        if self.path == "/slow":
            Slow.begun += 1
            time.sleep(float(sys.argv[2]))
        said = str(Slow.begun).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Slow).serve_forever()
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
PROCESSOR = """
import concurrent.futures, sys, grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as ext_proc
def headers(**values):
    changed = [{"header": {"key": name, "raw_value": value.encode()}} for name, value in values.items()]
    return {"response": {"header_mutation": {"set_headers": changed}}}
def answer(message):
    if message.HasField("request_headers"):
        return ext_proc.ProcessingResponse(request_headers=headers(**{"x-seen": "by processor"}))
    if message.HasField("response_headers"):
        return ext_proc.ProcessingResponse(response_headers=headers(**{"x-loud": "yes"}))
    loud = message.response_body.body.upper()
    return ext_proc.ProcessingResponse(response_body={"response": {"body_mutation": {"body": loud}}})
process = grpc.stream_stream_rpc_method_handler(
    lambda messages, context: map(answer, messages),
    ext_proc.ProcessingRequest.FromString,
    ext_proc.ProcessingResponse.SerializeToString,
)
service = grpc.method_handlers_generic_handler("envoy.service.ext_proc.v3.ExternalProcessor", {"Process": process})
server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=(service,))
server.add_insecure_port("0.0.0.0:" + sys.argv[1])
server.start()
server.wait_for_termination()
"""
RAW_HTTP = """
import socketserver, sys, time
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b"
class Raw(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            head = b""
            while (more := self.rfile.readline()) not in (b"\\r\\n", b""):
                head += more
            path = line.split()[1].decode()
            length = [int(one.split(b":")[1]) for one in head.splitlines() if one.lower().startswith(b"content-length")]
            self.rfile.read(length[0] if length else 0)
            getattr(self, path.strip("/"), self.plain)(head)
            if path == "/upgrade":
                return
    def plain(self, head):
        self.answer(b"plain answer")
    def head(self, head):
        self.answer(head + b"end of head")
    def answer(self, body):
        self.wfile.write(ANSWER % (len(body), body))
    def drip(self, head):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n5\\r\\nfirst\\r\\n")
        time.sleep(0.3)
        self.wfile.write(b"6\\r\\nsecond\\r\\n0\\r\\n\\r\\n")
    def upgrade(self, head):
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n")
        while data := self.request.recv(1000):
            self.wfile.write(data.upper())
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Raw).serve_forever()
"""
GRPC_STREAMS = """
import concurrent.futures, sys, grpc
def talk(messages, context):
    for number, message in enumerate(messages):
        yield b"echo " + message
        if number == 2:
            context.set_trailing_metadata((("x-trailer", "kept"),))
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "enough")
handlers = {"Talk": grpc.stream_stream_rpc_method_handler(talk)}
server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(4),
    handlers=(grpc.method_handlers_generic_handler("test.Talker", handlers),),
)
server.add_insecure_port("0.0.0.0:" + sys.argv[1])
server.start()
server.wait_for_termination()
"""
GRPC_STREAMS_CALL = """
import queue, sys, grpc
said = queue.Queue()
with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.stream_stream("/test.Talker/Talk")(iter(said.get, None), timeout=10)
    try:
        for number in range(10):
            said.put(str(number).encode())
            print(next(call).decode())
    except grpc.RpcError as error:
        print(error.code().name, error.details())
        print("trailer", dict(error.trailing_metadata())["x-trailer"])
    said.put(None)
"""
