// What a run found: figures beside their baselines, and the goals beside both.

#ifndef LATCHKEY_BENCH_REPORT_H_
#define LATCHKEY_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load.h"

namespace latchkey_bench {

enum class Better { kLess, kMore };

struct Goal {
  Better better = Better::kLess;
  double limit = 0;

  bool MetBy(double value) const {
    return better == Better::kLess ? value <= limit : value >= limit;
  }
};

// A figure and what it is compared with.
struct Figure {
  std::string name;
  std::string unit;
  double measured = 0;
  // Without a baseline the goal is about the figure itself, which is no time.
  std::optional<double> baseline = std::nullopt;
  // measured / baseline of each round: whether the pooled ratio can be trusted.
  std::vector<double> round_ratios = {};
  std::optional<Goal> goal = std::nullopt;

  // What the goal is about: the ratio, or the figure itself.
  double Judged() const { return baseline ? measured / *baseline : measured; }
  bool Met() const { return !goal || goal->MetBy(Judged()); }
};

// The same work done two ways, in rounds side by side.
class Comparison {
 public:
  void AddRound(Sample measured, Sample baseline);

  Figure LatencyFigure(std::string name, double percent,
                       std::optional<Goal> goal) const;
  Figure RateFigure(std::string name, std::optional<Goal> goal) const;
  // The median of a step of the measured way.
  Figure StepFigure(std::string_view name, const std::string& step) const;
  // The processor time of one operation, of each program and of all together.
  std::vector<Figure> CpuFigures(std::string_view name) const;

  const Sample& measured() const { return measured_; }
  const Sample& baseline() const { return baseline_; }

 private:
  struct Round {
    Sample measured;
    Sample baseline;
  };
  std::vector<Round> rounds_;
  Sample measured_;
  Sample baseline_;
};

class Report {
 public:
  // About the machine and the conditions: shown above the table.
  void AddCondition(std::string_view key, std::string_view value);
  void Add(Figure figure) { figures_.push_back(std::move(figure)); }
  void Add(std::vector<Figure> figures) {
    for (Figure& figure : figures) Add(std::move(figure));
  }

  std::string Table() const;
  std::string Json() const;

 private:
  struct Condition {
    std::string key;
    std::string value;
  };
  std::vector<Condition> conditions_;
  std::vector<Figure> figures_;
};

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_REPORT_H_
