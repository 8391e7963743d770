# A CA made of openssl behind an EST server made of Python (RFC 7030): it knows its clients by a password, lets each request
# wait once, and answers in lines, as the RFC's first readers did. Prints its port; its root is in root.pem.
import base64
import http.server
import ssl
import subprocess

KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
LEAF = "basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=%s\n"


def openssl(line):
    return subprocess.run(["openssl", *line.split()], check=True, stdout=subprocess.PIPE).stdout


def issue(request, purpose, out, more=""):
    with open("extensions", "w") as file:
        file.write(LEAF % purpose + more)
    openssl(f"x509 -req {request} -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile extensions -out {out}")


class Est(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    waiting = True

    def do_GET(self):
        self.answer(200 if self.path == "/.well-known/est/cacerts" else 404, "root.pem")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"wi-fi:secret").decode():
            return self.answer(401)
        if self.path != "/.well-known/est/simpleenroll":
            return self.answer(404)
        if Est.waiting:
            Est.waiting = False
            return self.answer(202)
        with open("request.der", "wb") as file:
            file.write(base64.b64decode(body))
        issue("-inform DER -in request.der", "clientAuth", "leaf.pem")
        self.answer(200, "leaf.pem")

    def answer(self, status, certificate=None):
        bag = b""
        if status == 200:
            bag = base64.encodebytes(openssl(f"crl2pkcs7 -nocrl -certfile {certificate} -outform DER"))
        self.send_response(status)
        if status == 202:
            self.send_header("Retry-After", "1")
        if bag:
            self.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
            self.send_header("Content-Transfer-Encoding", "base64")
        self.send_header("Content-Length", str(len(bag)))
        self.end_headers()
        self.wfile.write(bag)


openssl(f"req -x509 {KEY} -days 60 -subj /CN=Elsewhere -keyout root.key -out root.pem")
openssl(f"req -new {KEY} -subj /CN=EST -keyout server.key -out server.csr")
issue("-in server.csr", "serverAuth", "server.pem", "subjectAltName=DNS:localhost\n")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Est)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("port", server.server_port, flush=True)
server.serve_forever()
