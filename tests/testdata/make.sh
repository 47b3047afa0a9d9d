#!/bin/sh
# Usage: make.sh
#
# Makes the PEM files of this folder anew with the openssl command (3.0), so
# that our readers are tried on what somebody else wrote. Everything changes but
# the names, and nothing in the tests depends on more: digests.txt is made too.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
subject=/O=system:nodes/CN=system:node:node-1

key() { # key NAME GENPKEY-ARGUMENTS...: $work/NAME.key in PKCS#8
  name=$1
  shift
  openssl genpkey -quiet "$@" -out "$work/$name.key" 2>/dev/null ||
    openssl genpkey "$@" -out "$work/$name.key" 2>/dev/null
}

request() { # request NAME KEY REQ-ARGUMENTS...
  name=$1 key=$2
  shift 2
  openssl req -new -config /dev/null -key "$work/$key.key" "$@" \
    -out "request_$name.pem"
}

wrap() { # wrap LABEL < der: the PEM block of it
  echo "-----BEGIN $1-----"
  openssl base64
  echo "-----END $1-----"
}

public_hex() { # public_hex KEY BYTES: the end of its SubjectPublicKeyInfo
  openssl pkey -in "$work/$1.key" -pubout -outform DER | tail -c "$2" |
    od -An -v -tx1 | tr -d ' \n'
}

# hand_made NAME KEY VERSION < the sections [name], [attributes], [spki]: a
# request of a form that `openssl req` would not write. Its parts are given to
# OpenSSL's ASN.1 generator; only the signature is computed.
hand_made() {
  cat >"$work/sections"
  parts="version=INTEGER:$3
subject=SEQUENCE:name
spki=SEQUENCE:spki
attributes=IMPLICIT:0,SET:attributes"
  { printf 'asn1=SEQUENCE:body\n[body]\n%s\n' "$parts"; cat "$work/sections"; } \
    >"$work/body.conf"
  openssl asn1parse -genconf "$work/body.conf" -noout -out "$work/body.der"
  signature=$(openssl dgst -sha256 -sign "$work/$2.key" "$work/body.der" |
    od -An -v -tx1 | tr -d ' \n')
  case $2 in
    rsa*) algorithm='o=OID:sha256WithRSAEncryption
n=NULL' ;;
    *) algorithm=o=OID:ecdsa-with-SHA256 ;;
  esac
  {
    printf 'asn1=SEQUENCE:request\n[request]\nbody=SEQUENCE:body\n'
    printf 'algorithm=SEQUENCE:signature_algorithm\n'
    printf 'signature=FORMAT:HEX,BITSTRING:%s\n' "$signature"
    printf '[signature_algorithm]\n%s\n[body]\n%s\n' "$algorithm" "$parts"
    cat "$work/sections"
  } >"$work/request.conf"
  openssl asn1parse -genconf "$work/request.conf" -noout -out "$work/request.der"
  wrap 'CERTIFICATE REQUEST' <"$work/request.der" >"request_$1.pem"
}

named() { # named VALUE: [name] with this CN, and [spki] of the P-256 key
  cat <<END
[name]
cn=SET:cn
[cn]
pair=SEQUENCE:cn_pair
[cn_pair]
o=OID:commonName
v=$1
[spki]
algorithm=SEQUENCE:key_algorithm
bits=FORMAT:HEX,BITSTRING:$(public_hex p256 65)
[key_algorithm]
o=OID:id-ecPublicKey
c=OID:prime256v1
END
}

san='o=OID:subjectAltName
v=FORMAT:HEX,OCTETSTRING:300382016e'
usage='o=OID:keyUsage
v=FORMAT:HEX,OCTETSTRING:03020780'

# Keys.
key p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
key p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
key explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
  -pkeyopt ec_param_enc:explicit
key ed25519 -algorithm ED25519
key ed448 -algorithm ED448
key rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
key rsa2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
key rsa3072 -algorithm RSA -pkeyopt rsa_keygen_bits:3072
openssl pkey -in "$work/p256.key" -ec_conv_form compressed \
  -out "$work/compressed.key"
for name in p256 p384 p521 explicit ed25519 rsa2048 rsa3072; do
  cp "$work/$name.key" "key_$name.pem"
done
openssl pkey -in "$work/p256.key" -traditional -out key_p256_sec1.pem
openssl pkey -in "$work/rsa2048.key" -traditional -out key_rsa2048_pkcs1.pem
openssl pkey -in "$work/p256.key" -aes256 -passout pass:x -out key_encrypted.pem
openssl pkey -in "$work/p256.key" -traditional -aes256 -passout pass:x \
  -out key_encrypted_sec1.pem
{ openssl pkey -in "$work/p256.key" -outform DER; printf '\0'; } |
  wrap 'PRIVATE KEY' >key_trailing_byte.pem
for name in p256 p384 ed25519 rsa2048 rsa3072; do
  digest=$(openssl pkey -in "$work/$name.key" -pubout -outform DER |
    sha256sum | cut -d ' ' -f 1)
  echo "$name $digest"
done >digests.txt

# Requests that openssl writes.
for name in p256 p384 p521 explicit compressed ed25519 ed448 rsa1024 rsa2048 \
  rsa3072; do
  request "$name" "$name" -subj "$subject"
done
request multi_valued p256 -subj \
  '/O=system:nodes+CN=system:node:node-1/O=second+OU=unit'
request no_subject p256 -subj /
request san p256 -subj "$subject" -addext subjectAltName=DNS:node-1
request san_empty p256 -subj "$subject" -addext subjectAltName=DER:3000
request usage p256 -subj "$subject" -addext keyUsage=digitalSignature
openssl req -in request_p256.pem -outform DER -out "$work/p256.der"
sed 's/node-1/node-2/' "$work/p256.der" | wrap 'CERTIFICATE REQUEST' \
  >request_bad_signature.pem
{ cat "$work/p256.der"; printf '\0'; } | wrap 'CERTIFICATE REQUEST' \
  >request_trailing_byte.pem

# Requests that it would not write.
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\nb=SEQUENCE:second\n'
  printf '[first]\no=OID:extReq\nv=SET:first_set\n[first_set]\nv=SEQUENCE:first_list\n'
  printf '[first_list]\nv=SEQUENCE:usage\n[usage]\n%s\n' "$usage"
  printf '[second]\no=OID:extReq\nv=SET:second_set\n[second_set]\nv=SEQUENCE:second_list\n'
  printf '[second_list]\nv=SEQUENCE:san\n[san]\n%s\n' "$san"
} | hand_made san_second_attribute p256 0
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\n[first]\no=OID:extReq\nv=SET:set\n'
  printf '[set]\nv=SEQUENCE:first_list\nw=SEQUENCE:second_list\n'
  printf '[first_list]\nv=SEQUENCE:usage\n[usage]\n%s\n' "$usage"
  printf '[second_list]\nv=SEQUENCE:san\n[san]\n%s\n' "$san"
} | hand_made san_second_value p256 0
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\n[first]\no=OID:extReq\nv=SET:set\n'
  printf '[set]\nv=SEQUENCE:list\n[list]\nv=SEQUENCE:san\nw=SEQUENCE:san\n'
  printf '[san]\n%s\n' "$san"
} | hand_made san_twice p256 0
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\n[first]\n'
  printf 'o=OID:1.3.6.1.4.1.311.2.1.14\nv=SET:set\n'
  printf '[set]\nv=SEQUENCE:list\n[list]\nv=SEQUENCE:san\n[san]\n%s\n' "$san"
} | hand_made san_microsoft p256 0
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\n[first]\no=OID:extReq\nv=SET:set\n'
  printf '[set]\nv=UTF8:none\n'
} | hand_made extension_request_of_text p256 0
{
  named UTF8:x
  printf '[attributes]\na=SEQUENCE:first\n[first]\no=OID:challengePassword\n'
  printf 'v=SET:set\n[set]\nv=UTF8:password\n'
} | hand_made challenge_password p256 0
empty='[attributes]'
{ named 'IMPLICIT:12U,FORMAT:HEX,OCTETSTRING:780079'; echo "$empty"; } |
  hand_made name_with_nul p256 0
{ named 'IMPLICIT:12U,FORMAT:HEX,OCTETSTRING:78ff79'; echo "$empty"; } |
  hand_made name_not_utf8 p256 0
{ named 'IMPLICIT:30U,FORMAT:HEX,OCTETSTRING:006e00f6'; echo "$empty"; } |
  hand_made name_bmp p256 0
{ named 'IMPLICIT:20U,FORMAT:HEX,OCTETSTRING:6ef6'; echo "$empty"; } |
  hand_made name_latin1 p256 0
{ named INTEGER:5; echo "$empty"; } | hand_made name_integer p256 0
{ named UTF8:x; echo "$empty"; } | hand_made version_3 p256 2
{
  named UTF8:x | sed '/^\[spki\]/,$d'
  printf '[spki]\nalgorithm=SEQUENCE:key_algorithm\n'
  printf 'bits=FORMAT:HEX,BITSTRING:%s\n' "$(public_hex rsa2048 270)"
  printf '[key_algorithm]\no=OID:rsaEncryption\n%s\n' "$empty"
} | hand_made rsa_without_null rsa2048 0

# Certificates.
cat >"$work/ca.conf" <<END
[ca]
default_ca=here
[here]
database=$work/index
new_certs_dir=$work
serial=$work/serial
default_md=sha256
policy=any
unique_subject=no
[any]
organizationName=optional
commonName=optional
[root]
basicConstraints=critical,CA:TRUE
[client]
extendedKeyUsage=clientAuth
subjectAltName=DNS:node-1,DNS:node-1.example,IP:127.0.0.1,URI:spiffe://example/node-1
[server]
extendedKeyUsage=serverAuth
[any_usage]
extendedKeyUsage=anyExtendedKeyUsage
[no_usage]
basicConstraints=CA:FALSE
[nul]
subjectAltName=DER:30058203610062
END
: >"$work/index"
sign() { # sign NAME SECTION SERIAL END CA-ARGUMENTS...
  name=$1 section=$2 end=$4
  echo "$3" >"$work/serial"
  shift 4
  openssl ca -config "$work/ca.conf" -batch -notext -extensions "$section" \
    -startdate 20200102030405Z -enddate "$end" -preserveDN \
    -in request_p256.pem -keyfile "$work/p384.key" "$@" \
    -out "certificate_$name.pem" 2>/dev/null
}
echo 01 >"$work/serial"
openssl ca -config "$work/ca.conf" -batch -notext -extensions root -selfsign \
  -startdate 20200102030405Z -enddate 20510203040506Z -preserveDN \
  -in request_p384.pem -keyfile "$work/p384.key" -out certificate_root.pem \
  2>/dev/null
cp certificate_root.pem "$work/root.pem"
set -- -cert "$work/root.pem"
sign client client 0ABC 20491231235959Z "$@"
sign server server 05 20510203040506Z "$@"
sign any_usage any_usage FF00000000000000000000000000000000000001 \
  20491231235959Z "$@"
sign no_usage no_usage 1000 20491231235959Z "$@"
sign nul_in_dns_name nul 1001 20491231235959Z "$@"
openssl x509 -in certificate_client.pem -outform DER >"$work/client.der"
echo "certificate_client $(sha256sum <"$work/client.der" | cut -d ' ' -f 1)" \
  >>digests.txt
{ cat "$work/client.der"; printf '\0'; } | wrap CERTIFICATE \
  >certificate_trailing_byte.pem
