// How a machine reaches the cluster, as the answers that hand out a token say
// it.

#ifndef LATCHKEY_SERVICES_CLUSTER_ENDPOINTS_H_
#define LATCHKEY_SERVICES_CLUSTER_ENDPOINTS_H_

#include <functional>
#include <string>
#include <vector>

namespace latchkey {

struct ClusterEndpoints {
  std::vector<std::string> api_servers;  // https URLs, at least one
  std::string certificate_authorities;   // PEM
  std::string name;
};

// As they are now: authorities are rotated, servers move. Called for each
// answer, from any thread.
using ClusterSource = std::function<ClusterEndpoints()>;

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CLUSTER_ENDPOINTS_H_
