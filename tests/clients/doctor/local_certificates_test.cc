#include "clients/doctor/local_certificates.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::latchkey_testing::TempDir;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Kubeconfig(const std::string& authority, const std::string& user) {
  return fmt::format(
      "clusters: [{{name: c, cluster: {{server: \"https://a:1\", {}}}}}]\n"
      "users: [{{name: u, user: {{{}}}}}]\n"
      "contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n"
      "current-context: x\n",
      authority, user);
}

TEST(LocalCertificatesTest, ThoseOfTheBrokersKubeconfigAreRead) {
  const TempDir dir;
  dir.Write("me.crt", "the client's");
  // The key is not there: nobody needs it.
  const std::string path =
      dir.Write("kubeconfig",
                Kubeconfig("certificate-authority-data: dGhlIGNsdXN0ZXIncw==",
                           "client-certificate: me.crt, client-key: me.key"));
  const auto all = CertificatesOfBrokersKubeconfig(path);
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].pem, "the cluster's");
  EXPECT_THAT(all[0].where, HasSubstr("authority of the broker's kubeconfig"));
  EXPECT_EQ(all[1].pem, "the client's");
  EXPECT_THAT(all[1].where, HasSubstr(path));
}

TEST(LocalCertificatesTest, WhatAKubeconfigDoesNotHaveIsNotMissed) {
  const TempDir dir;
  EXPECT_THAT(CertificatesOfBrokersKubeconfig(
                  dir.Write("kubeconfig", Kubeconfig("", "token: t"))),
              IsEmpty());
}

TEST(LocalCertificatesTest, WhatCannotBeReadHasNoCertificates) {
  const auto all = CertificatesOfBrokersKubeconfig("/no/such");
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_THAT(all[0].where, HasSubstr("/no/such"));
  EXPECT_THAT(all[0].pem, IsEmpty());
  EXPECT_THAT(CertificatesOfFile("/no/such", "renew it").pem, IsEmpty());
}

}  // namespace
}  // namespace latchkey
