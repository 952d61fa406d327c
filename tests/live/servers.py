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
            if path == "/refuse":
                self.wfile.write(b"HTTP/1.1 417 Expectation Failed\\r\\ncontent-length: 0\\r\\n\\r\\n")
                continue
            if b"100-continue" in head:
                self.wfile.write(b"HTTP/1.1 100 Continue\\r\\n\\r\\n")
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
    def hints(self, head):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\\r\\nlink: </style.css>\\r\\n\\r\\n")
        time.sleep(0.1)
        self.answer(b"whole page")
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
EITHER_HTTP = """
import socketserver, sys, h2.config, h2.connection, h2.events
class Either(socketserver.BaseRequestHandler):
    def handle(self):
        data = self.request.recv(65536)
        (self.second if data.startswith(b"PRI *") else self.first)(data)
    def first(self, data):
        while data:
            version = data.split(b"\\r\\n")[0].split()[-1]
            self.request.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b" % (len(version), version))
            data = self.request.recv(65536)
    def second(self, data):
        talking = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        talking.initiate_connection()
        while data:
            for event in talking.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    talking.send_headers(event.stream_id, [(":status", "200")])
                    talking.send_data(event.stream_id, b"HTTP/2", end_stream=True)
            self.request.sendall(talking.data_to_send())
            data = self.request.recv(65536)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Either).serve_forever()
"""
TICKS = """
import concurrent.futures, os, signal, sys, threading, grpc
ends = threading.Event()
def tick(request, context):
    while not ends.wait(0.1):
        yield os.environ["HOSTNAME"].encode()
    yield b"bye"
handlers = {"Tick": grpc.unary_stream_rpc_method_handler(tick)}
server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(8), handlers=(grpc.method_handlers_generic_handler("test.Clock", handlers),)
)
server.add_insecure_port("0.0.0.0:" + sys.argv[1])
server.start()
signal.signal(signal.SIGTERM, lambda *_: ends.set())
ends.wait()
server.stop(5).wait()
"""
TICKS_HEARD = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    try:
        for tick in channel.unary_stream("/test.Clock/Tick")(b"", timeout=60):
            print(tick.decode(), flush=True)
        print("ended", flush=True)
    except grpc.RpcError as error:
        print(error.code().name, error.details(), flush=True)
"""
FAREWELL = """
import os, signal, socketserver, sys
talking = []
class Farewell(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline() not in (b"\\r\\n", b""):
            pass
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n")
        talking.append(self.request)
        while data := self.request.recv(1000):
            self.request.sendall(data.upper())
        talking.remove(self.request)
        if leaving and not talking:
            os._exit(0)
leaving = []
def end(*_):
    leaving.append(True)
    for one in talking:
        one.sendall(b"bye")
signal.signal(signal.SIGTERM, end)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Farewell).serve_forever()
"""
FAREWELL_HEARD = """
import socket, sys
with socket.create_connection((sys.argv[1], 80), timeout=60) as talking:
    talking.sendall(b"GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n")
    print(talking.recv(1000).split(b"\\r\\n")[0].decode(), flush=True)
    talking.settimeout(0.1)
    heard, said = b"", 0
    while b"bye" not in heard:
        try:
            talking.sendall(b"x")
            said += 1
            more = talking.recv(1000)
            heard += more
            if not more:
                break
        except TimeoutError:
            pass
        except OSError:
            break
    print("bye" if b"bye" in heard else "cut off", heard.count(b"X") > said // 2, flush=True)
"""
IDLER = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7000), timeout=20) as talking:
    talking.sendall(b"hello")
    talking.recv(100)
    try:
        print("closed" if talking.recv(100) == b"" else "answered")
    except TimeoutError:
        print("still open")
"""
NAMER = """
import os, socketserver, sys
class Namer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(100)
        self.request.sendall(os.environ["HOSTNAME"].encode())
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Namer).serve_forever()
"""
