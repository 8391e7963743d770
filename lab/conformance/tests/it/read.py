# Reads what Landfall makes with pyca/cryptography. Argument: the MASA URL that the IDevID has to say.
import sys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtensionOID, NameOID


def read(name):
    return open(name, "rb").read()


def certificate(name):
    return x509.load_der_x509_certificate(read(name))


def issued_by(leaf, issuer):
    assert leaf.issuer == issuer.subject
    algorithm = ec.ECDSA(leaf.signature_hash_algorithm)
    issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, algorithm)


def serial(subject):
    return subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value


idevid, ldevid, registrar = certificate("idevid.der"), certificate("ldevid.der"), certificate("registrar.der")
device_ca, issuing = certificate("device-ca.der"), certificate("issuing.der")
issued_by(idevid, device_ca)
issued_by(ldevid, issuing)
issued_by(registrar, issuing)
assert serial(idevid.subject) == serial(ldevid.subject) == "A-1"
assert idevid.not_valid_after.year == 9999

# id-pe-masa-url: an IA5String (RFC 8995 s2.3.2).
masa = idevid.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.32"))
url = sys.argv[1].encode()
assert not masa.critical and masa.value.value == b"\x16" + bytes([len(url)]) + url

purposes = registrar.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
assert x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28") in purposes
for leaf, issuer in [(idevid, device_ca), (ldevid, issuing), (registrar, issuing)]:
    above = leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value.key_identifier
    assert above == issuer.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value.digest

csr = x509.load_der_x509_csr(read("csr.der"))
assert csr.is_signature_valid and csr.public_key() .public_numbers() == ldevid.public_key().public_numbers()

bag = pkcs7.load_der_pkcs7_certificates(read("cacerts.der"))
assert issuing in bag and len(bag) == 2

crl = x509.load_der_x509_crl(read("crl.der"))
assert crl.is_signature_valid(issuing.public_key()) and crl.issuer == issuing.subject
assert crl.next_update > crl.last_update and len(list(crl)) == 0
