package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLifetime is longer than any folder of a test cluster is kept.
const certificateLifetime = 10 * 365 * 24 * time.Hour

// leaves are the certificates that the cluster's CA signs.
var leaves = []struct {
	name     string
	template x509.Certificate
}{
	{"apiserver", x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}},
	{"admin", x509.Certificate{
		Subject:     pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}},
	{"controller-manager", x509.Certificate{
		Subject:     pkix.Name{CommonName: "system:kube-controller-manager"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}},
}

// ensurePKI makes the keys and certificates of the cluster, or checks those
// that are there: the programs would report a broken file too, but later and
// less plainly.
func ensurePKI(l layout) error {
	if exists(l.path("pki")) {
		return checkPKI(l.path("pki"))
	}
	// The folder gets its name when it is complete, because its name is what
	// says that there is a cluster to reuse.
	unfinished := l.path("pki.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if err := makePKI(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, l.path("pki"))
}

func makePKI(dir string) error {
	caTemplate := x509.Certificate{
		Subject:               pkix.Name{CommonName: "kubernetes"},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	caKey, err := makeKey(dir, "ca")
	if err != nil {
		return err
	}
	// The CA signs itself: a nil issuer.
	ca, err := makeCertificate(dir, "ca", caTemplate, nil, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		key, err := makeKey(dir, leaf.name)
		if err != nil {
			return err
		}
		template := leaf.template
		template.KeyUsage = x509.KeyUsageDigitalSignature
		if _, err := makeCertificate(dir, leaf.name, template, ca, &key.PublicKey, caKey); err != nil {
			return err
		}
	}
	return makeServiceAccountKeys(dir)
}

// makeServiceAccountKeys makes the pair that signs and verifies the tokens of
// service accounts. It has no certificate.
func makeServiceAccountKeys(dir string) error {
	key, err := makeKey(dir, "sa")
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", public, 0o644)
}

func makeKey(dir, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(filepath.Join(dir, name+".key"), "EC PRIVATE KEY", der, 0o600)
}

func makeCertificate(dir, name string, template x509.Certificate, issuer *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// A little in the past, so that a clock that is set back a little, as on a
	// virtual machine, does not make every certificate invalid.
	template.NotBefore = time.Now().Add(-5 * time.Minute)
	template.NotAfter = template.NotBefore.Add(certificateLifetime)
	if issuer == nil {
		issuer = &template
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer, public, signer)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func checkPKI(dir string) error {
	ca, err := readCertificate(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, leaf := range leaves {
		path := filepath.Join(dir, leaf.name+".crt")
		certificate, err := readCertificate(path)
		if err != nil {
			return err
		}
		_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, key := range []string{"ca.key", "sa.key", "sa.pub", "apiserver.key", "admin.key", "controller-manager.key"} {
		data, err := os.ReadFile(filepath.Join(dir, key))
		if err != nil {
			return err
		}
		if block, _ := pem.Decode(data); block == nil {
			return fmt.Errorf("%s: no PEM block in it", filepath.Join(dir, key))
		}
	}
	return nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block in it", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}
