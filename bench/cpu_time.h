// What processor time goes where. On one machine, where all share its
// processors, that is what a rate comes down to.

#ifndef LATCHKEY_BENCH_CPU_TIME_H_
#define LATCHKEY_BENCH_CPU_TIME_H_

#include <map>
#include <string>

#include <absl/time/time.h>

namespace latchkey_bench {

// By program: "etcd", "kube-apiserver", …
using CpuTime = std::map<std::string, absl::Duration>;

// This program together with those that it started and that have ended: whoever
// makes the calls, in either way.
inline constexpr char kCallers[] = "callers";

// Of this program and of those that it started which still run, in user and in
// kernel mode, so far.
CpuTime CpuTimeSoFar();

// What was used since it was made.
class CpuMeter {
 public:
  CpuTime Used() const;

 private:
  const CpuTime begin_ = CpuTimeSoFar();
};

// Until the programs that this one started have next to nothing to do: what one
// measurement leaves them to clean up must not be in the next. After ten
// seconds it is measured all the same.
void AwaitIdle();

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_CPU_TIME_H_
