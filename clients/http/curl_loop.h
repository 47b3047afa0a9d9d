// One thread that drives every exchange of a client through a libcurl multi
// handle.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_LOOP_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_LOOP_H_

#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>
#include <curl/curl.h>

#include "core/mutex.h"

namespace latchkey {

// What the loop drives: an easy handle, set up, and who hears of its end.
class CurlTask {
 public:
  explicit CurlTask(CURL* easy) : easy_(easy) {}
  CurlTask(const CurlTask&) = delete;
  CurlTask& operator=(const CurlTask&) = delete;
  virtual ~CurlTask() = default;

  CURL* easy() const { return easy_; }

  // Called once, on the loop's thread, when the loop has let go of easy().
  virtual void OnFinished(CURLcode code) = 0;

 private:
  CURL* easy_;
};

// Safe for concurrent use, by any thread but its own. All callbacks of the easy
// handles run on the loop's thread and must not block.
class CurlLoop {
 public:
  // kInternal if libcurl or the system has no more to give.
  static absl::StatusOr<std::shared_ptr<CurlLoop>> Create(long max_connections);

  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;
  // Ends what still runs with CURLE_ABORTED_BY_CALLBACK and joins the thread.
  ~CurlLoop();

  // Until OnFinished() the task's easy handle belongs to the loop.
  void Begin(std::shared_ptr<CurlTask> task);
  // Takes a transfer up again that a callback paused.
  void Resume(std::shared_ptr<CurlTask> task);
  // Finishes the task with CURLE_ABORTED_BY_CALLBACK, unless it has finished.
  void End(std::shared_ptr<CurlTask> task);

 private:
  enum class Verb { kBegin, kResume, kEnd };
  struct Command {
    Verb verb;
    std::shared_ptr<CurlTask> task;
  };

  explicit CurlLoop(CURLM* multi) : multi_(multi) {}
  void Post(Command command);
  void Run();
  // Waits for the network or a command; false when it is time to stop.
  bool AwaitWork();
  void Obey(const Command& command);
  void Reap();
  void Finish(CurlTask& task, CURLcode code);

  CURLM* const multi_;

  Mutex mutex_;
  std::vector<Command> commands_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The thread waits in poll, so that a new command must wake it.
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the loop's thread alone.
  std::unordered_map<CurlTask*, std::shared_ptr<CurlTask>> running_;
  std::vector<Command> taken_;

  std::thread thread_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_LOOP_H_
