#include "clients/http/curl_loop.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

namespace latchkey {
namespace {

// Longer than libcurl's own timers ever need: a command wakes the loop anyway.
constexpr int kPollMilliseconds = 60'000;

// Threads start with the signal mask of their parent. No signal is for the
// loop; SIGPIPE, which writing to a broken connection may raise, is for nobody.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

bool InitializeCurl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  return result == CURLE_OK;
}

}  // namespace

absl::StatusOr<std::shared_ptr<CurlLoop>> CurlLoop::Create(
    long max_connections) {
  CURLM* multi = InitializeCurl() ? curl_multi_init() : nullptr;
  if (multi == nullptr) return absl::InternalError("libcurl does not start");
  // Without a descriptor for it libcurl starts all the same, and then every
  // command would wait until the loop looks by itself.
  if (curl_multi_wakeup(multi) != CURLM_OK) {
    curl_multi_cleanup(multi);
    return absl::InternalError("libcurl does not start: no descriptor is left");
  }
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, max_connections);

  std::shared_ptr<CurlLoop> loop(new CurlLoop(multi));
  const BlockedSignals blocked;
  try {
    loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  } catch (const std::system_error&) {
    return absl::InternalError("cannot start a thread");
  }
  return loop;
}

CurlLoop::~CurlLoop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_);
  if (thread_.joinable()) thread_.join();
  curl_multi_cleanup(multi_);
}

void CurlLoop::Begin(std::shared_ptr<CurlTask> task) {
  Post({Verb::kBegin, std::move(task)});
}

void CurlLoop::Resume(std::shared_ptr<CurlTask> task) {
  Post({Verb::kResume, std::move(task)});
}

void CurlLoop::End(std::shared_ptr<CurlTask> task) {
  Post({Verb::kEnd, std::move(task)});
}

void CurlLoop::Post(Command command) {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    commands_.push_back(std::move(command));
    // One wake-up is enough however many commands arrive before the loop looks.
    wake = std::exchange(waiting_, false);
  }
  if (wake) curl_multi_wakeup(multi_);
}

void CurlLoop::Run() {
  while (AwaitWork()) {
    for (const Command& command : taken_) Obey(command);
    taken_.clear();
    int still_running = 0;
    curl_multi_perform(multi_, &still_running);
    Reap();
  }
  for (const Command& command : taken_) Obey(command);
  while (!running_.empty()) {
    Finish(*running_.begin()->first, CURLE_ABORTED_BY_CALLBACK);
  }
}

bool CurlLoop::AwaitWork() {
  {
    const MutexLock lock(mutex_);
    waiting_ = commands_.empty() && !stopping_;
    if (!waiting_) {
      taken_.swap(commands_);
      return !stopping_;
    }
  }
  curl_multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
  const MutexLock lock(mutex_);
  waiting_ = false;
  taken_.swap(commands_);
  return !stopping_;
}

void CurlLoop::Obey(const Command& command) {
  CurlTask& task = *command.task;
  if (command.verb == Verb::kBegin) {
    running_.emplace(&task, command.task);
    curl_easy_setopt(task.easy(), CURLOPT_PRIVATE, &task);
    if (curl_multi_add_handle(multi_, task.easy()) != CURLM_OK) {
      Finish(task, CURLE_FAILED_INIT);
    }
    return;
  }
  // The task may have finished while the command was on its way.
  if (!running_.contains(&task)) return;
  if (command.verb == Verb::kResume) {
    curl_easy_pause(task.easy(), CURLPAUSE_CONT);
  } else {
    Finish(task, CURLE_ABORTED_BY_CALLBACK);
  }
}

void CurlLoop::Reap() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    // Removing the handle frees the message.
    const CURLcode code = message->data.result;
    CurlTask* task = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &task);
    Finish(*task, code);
  }
}

void CurlLoop::Finish(CurlTask& task, CURLcode code) {
  curl_multi_remove_handle(multi_, task.easy());
  const auto node = running_.extract(&task);  // keeps the task until it is told
  task.OnFinished(code);
}

}  // namespace latchkey
