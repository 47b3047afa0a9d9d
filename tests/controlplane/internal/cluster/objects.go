package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	bootstraputil "k8s.io/cluster-bootstrap/token/util"
)

// KubeadmTokenGroup is the group of the bootstrap tokens that kubeadm makes,
// the one that its bindings are for.
const KubeadmTokenGroup = "system:bootstrappers:kubeadm:default-node-token"

// createObjects makes what kubeadm makes in a new cluster and a bare API server
// lacks, as far as joining needs it. The names are kubeadm's.
func createObjects(ctx context.Context, o options, url string) error {
	ca, err := os.ReadFile(o.layout().pki("ca.crt"))
	if err != nil {
		return err
	}
	client, err := newClient(o.layout().adminKubeconfig())
	if err != nil {
		return err
	}
	if err := createClusterInfo(ctx, client, url, ca); err != nil {
		return fmt.Errorf("cluster-info: %w", err)
	}
	if o.stockApprover {
		return createApproverBindings(ctx, client)
	}
	return nil
}

func newClient(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// createClusterInfo publishes the address and the CA of the cluster to anyone
// who asks. The bootstrap signer adds a signature for each token to it; it
// never makes it.
func createClusterInfo(ctx context.Context, client kubernetes.Interface, url string, ca []byte) error {
	// As kubeadm writes it: the cluster has an empty name, and there is no user.
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"": {Server: url, CertificateAuthorityData: ca}},
	})
	if err != nil {
		return err
	}
	if err := putConfigMap(ctx, client, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: bootstrapapi.ConfigMapClusterInfo},
		Data:       map[string]string{bootstrapapi.KubeConfigKey: string(kubeconfig)},
	}); err != nil {
		return err
	}

	meta := metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: "kubeadm:bootstrap-signer-clusterinfo"}
	_, err = client.RbacV1().Roles(meta.Namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: meta,
		Rules: []rbacv1.PolicyRule{{
			Verbs:         []string{"get"},
			APIGroups:     []string{""},
			Resources:     []string{"configmaps"},
			ResourceNames: []string{bootstrapapi.ConfigMapClusterInfo},
		}},
	}, metav1.CreateOptions{})
	if err := orExists(err); err != nil {
		return err
	}
	_, err = client.RbacV1().RoleBindings(meta.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "system:anonymous"}},
	}, metav1.CreateOptions{})
	return orExists(err)
}

// putConfigMap creates the map, or sets its data if it is there: a cluster that
// is started again may have another port. Signatures of the old data go with
// it; the bootstrap signer makes new ones.
func putConfigMap(ctx context.Context, client kubernetes.Interface, m *corev1.ConfigMap) error {
	maps := client.CoreV1().ConfigMaps(m.Namespace)
	// The API server answers before it has made its own namespaces.
	return poll(ctx, func(ctx context.Context) error {
		_, err := maps.Create(ctx, m, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		current, err := maps.Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if current.Data[bootstrapapi.KubeConfigKey] == m.Data[bootstrapapi.KubeConfigKey] {
			return nil
		}
		current.Data = m.Data
		_, err = maps.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
}

// createApproverBindings lets the holders of kubeadm's tokens ask for a
// certificate and the stock approver give it to them, and nodes renew theirs.
func createApproverBindings(ctx context.Context, client kubernetes.Interface) error {
	const requests = "system:certificates.k8s.io:certificatesigningrequests:"
	for _, binding := range []struct{ name, role, group string }{
		{"kubeadm:kubelet-bootstrap", "system:node-bootstrapper", KubeadmTokenGroup},
		{"kubeadm:node-autoapprove-bootstrap", requests + "nodeclient", KubeadmTokenGroup},
		{"kubeadm:node-autoapprove-certificate-rotation", requests + "selfnodeclient", "system:nodes"},
	} {
		_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: binding.name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: binding.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: binding.group}},
		}, metav1.CreateOptions{})
		if err := orExists(err); err != nil {
			return fmt.Errorf("%s: %w", binding.name, err)
		}
	}
	return nil
}

func orExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// MintToken makes a bootstrap token that authenticates in that group, and
// returns it.
func MintToken(ctx context.Context, adminKubeconfig, group string, lifetime time.Duration) (string, error) {
	client, err := newClient(adminKubeconfig)
	if err != nil {
		return "", err
	}
	token, err := bootstraputil.GenerateBootstrapToken()
	if err != nil {
		return "", err
	}
	id, secret, _ := strings.Cut(token, ".")
	_, err = client.CoreV1().Secrets(metav1.NamespaceSystem).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: bootstraputil.BootstrapTokenSecretName(id)},
		Type:       bootstrapapi.SecretTypeBootstrapToken,
		StringData: map[string]string{
			bootstrapapi.BootstrapTokenIDKey:               id,
			bootstrapapi.BootstrapTokenSecretKey:           secret,
			bootstrapapi.BootstrapTokenExpirationKey:       time.Now().UTC().Add(lifetime).Format(time.RFC3339),
			bootstrapapi.BootstrapTokenUsageAuthentication: "true",
			bootstrapapi.BootstrapTokenExtraGroupsKey:      group,
		},
	}, metav1.CreateOptions{})
	return token, err
}
