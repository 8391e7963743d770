# Enrols over TLS 1.2 with the binding that the second argument names; prints the HTTP status.
import base64
import socket
import ssl
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

port, binding = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile="domain.pem")
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.load_cert_chain("idevid.pem", "idevid.key")


def connect():
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")


stream, other = connect(), connect()
own = stream.get_channel_binding("tls-unique")
foreign = other.get_channel_binding("tls-unique")
assert own and foreign and own != foreign
password = {"of-this-connection": own, "of-another-connection": foreign, "none": None}[binding]

key = ec.generate_private_key(ec.SECP256R1())
builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, "A-1")]))
if password:
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, base64.b64encode(password))
body = base64.b64encode(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
head = (
    "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n\r\n"
)
stream.sendall(head.encode() + body)
print(stream.makefile("rb").readline().split()[1].decode())
