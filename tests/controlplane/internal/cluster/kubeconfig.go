package cluster

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Endpoint is where an API server is and how to know it.
type Endpoint struct {
	URL string
	CA  []byte // PEM
}

// LoadEndpoint returns the endpoint of the kubeconfig's current context.
func LoadEndpoint(kubeconfig string) (Endpoint, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return Endpoint{}, err
	}
	ca := config.CAData
	if len(ca) == 0 && config.CAFile != "" {
		if ca, err = os.ReadFile(config.CAFile); err != nil {
			return Endpoint{}, err
		}
	}
	if len(ca) == 0 {
		return Endpoint{}, fmt.Errorf("%s: it names no certificate authority", kubeconfig)
	}
	return Endpoint{URL: config.Host, CA: ca}, nil
}

// WriteTokenKubeconfig writes a kubeconfig that authenticates with the token.
func WriteTokenKubeconfig(path, url string, ca []byte, token string) error {
	return writeKubeconfig(path, url, ca, &clientcmdapi.AuthInfo{Token: token})
}

// writeCertificateKubeconfig writes a kubeconfig that authenticates with the
// certificate of that name. All is embedded, so the file can be copied away.
func writeCertificateKubeconfig(l layout, path, url, name string) error {
	ca, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return err
	}
	certificate, err := os.ReadFile(l.pki(name + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(l.pki(name + ".key"))
	if err != nil {
		return err
	}
	return writeKubeconfig(path, url, ca, &clientcmdapi.AuthInfo{
		ClientCertificateData: certificate,
		ClientKeyData:         key,
	})
}

func writeKubeconfig(path, url string, ca []byte, user *clientcmdapi.AuthInfo) error {
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"controlplane": {Server: url, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"user": user},
		Contexts:       map[string]*clientcmdapi.Context{"default": {Cluster: "controlplane", AuthInfo: "user"}},
		CurrentContext: "default",
	})
	if err != nil {
		return err
	}
	return writeFile(path, data, 0o600)
}
