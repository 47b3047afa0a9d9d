// A signed PKCS#10 request, for tests that need one and do not care which.

#ifndef LATCHKEY_TESTS_TESTING_SAMPLE_CSR_H_
#define LATCHKEY_TESTS_TESTING_SAMPLE_CSR_H_

namespace latchkey_testing {

// O = system:nodes, CN = system:node:contract, P-256. The key was thrown away.
inline constexpr char kSampleCsrPem[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIHyMIGYAgEAMDYxFTATBgNVBAoMDHN5c3RlbTpub2RlczEdMBsGA1UEAwwUc3lz\n"
    "dGVtOm5vZGU6Y29udHJhY3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARehTSt\n"
    "40z0KvXu+eHlyLGl96VxffiAdIq9ELmefQjtwSbKw72f90oj3QOIX4pavoFh2S03\n"
    "SfVUC+t77kuVUEPnoAAwCgYIKoZIzj0EAwIDSQAwRgIhAMXwrMIPA12LxQQEB6h9\n"
    "lSgOMwxaOUrpoRiI5fir7eNmAiEAhAOUwubq341oRvw1u+/EErJ2X6F/NmLDoemk\n"
    "HRNOcQY=\n"
    "-----END CERTIFICATE REQUEST-----\n";

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_SAMPLE_CSR_H_
