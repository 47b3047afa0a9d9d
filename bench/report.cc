#include "bench/report.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "clients/log/event_log.h"

namespace latchkey_bench {
namespace {

using latchkey::JsonString;

constexpr char kNothing[] = "-";

std::string NumberOr(const std::optional<double>& number) {
  return number ? fmt::format("{:.2f}", *number) : kNothing;
}

std::string GoalText(const Figure& figure) {
  if (!figure.goal) return kNothing;
  return fmt::format(
      "{} {:g}",
      figure.goal->better == Better::kLess ? "<=" : ">=", figure.goal->limit);
}

std::string VerdictText(const Figure& figure) {
  if (!figure.goal) return kNothing;
  return figure.Met() ? "met" : "MISSED";
}

std::string RangeText(const std::vector<double>& ratios) {
  if (ratios.size() < 2) return kNothing;
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  return fmt::format("{:.2f} to {:.2f}", *least, *most);
}

std::string FigureJson(const Figure& figure) {
  std::string json = fmt::format(R"({{"name":{},"unit":{},"measured":{:.4f})",
                                 JsonString(figure.name),
                                 JsonString(figure.unit), figure.measured);
  if (figure.baseline) {
    json += fmt::format(R"(,"baseline":{:.4f},"ratio":{:.4f})",
                        *figure.baseline, figure.Judged());
    std::string ratios;
    for (const double ratio : figure.round_ratios) {
      ratios += fmt::format("{}{:.4f}", ratios.empty() ? "" : ",", ratio);
    }
    json += fmt::format(R"(,"round_ratios":[{}])", ratios);
  }
  if (figure.goal) {
    json += fmt::format(
        R"(,"goal":{{"{}":{:g}}},"met":{})",
        figure.goal->better == Better::kLess ? "at_most" : "at_least",
        figure.goal->limit, figure.Met());
  }
  return json + "}";
}

template <typename Of>
std::vector<double> RatiosOf(const auto& rounds, const Of& of) {
  std::vector<double> ratios;
  for (const auto& round : rounds) {
    ratios.push_back(of(round.measured) / of(round.baseline));
  }
  return ratios;
}

}  // namespace

void Comparison::AddRound(Sample measured, Sample baseline) {
  measured_.Add(measured);
  baseline_.Add(baseline);
  rounds_.push_back({std::move(measured), std::move(baseline)});
}

Figure Comparison::LatencyFigure(std::string name, double percent,
                                 std::optional<Goal> goal) const {
  const auto of = [percent](const Sample& sample) {
    return absl::ToDoubleMilliseconds(sample.Percentile(percent));
  };
  return {.name = std::move(name),
          .unit = "ms",
          .measured = of(measured_),
          .baseline = of(baseline_),
          .round_ratios = RatiosOf(rounds_, of),
          .goal = goal};
}

Figure Comparison::RateFigure(std::string name,
                              std::optional<Goal> goal) const {
  const auto of = [](const Sample& sample) { return sample.Rate(); };
  return {.name = std::move(name),
          .unit = "1/s",
          .measured = of(measured_),
          .baseline = of(baseline_),
          .round_ratios = RatiosOf(rounds_, of),
          .goal = goal};
}

Figure Comparison::StepFigure(std::string_view name,
                              const std::string& step) const {
  const auto it = measured_.steps.find(step);
  const Sample one{.latencies = it == measured_.steps.end()
                                    ? std::vector<absl::Duration>()
                                    : it->second};
  return {.name = fmt::format("{} {}", name, step),
          .unit = "ms",
          .measured = absl::ToDoubleMilliseconds(one.Percentile(50))};
}

std::vector<Figure> Comparison::CpuFigures(std::string_view name) const {
  const auto each = [](absl::Duration time, const Sample& sample) {
    return absl::ToDoubleMilliseconds(time) /
           static_cast<double>(sample.latencies.size());
  };
  Figure all{.name = fmt::format("{}, CPU", name), .unit = "ms", .baseline = 0};
  std::vector<Figure> figures;
  for (const auto& [program, time] : measured_.cpu) {
    if (time == absl::ZeroDuration()) continue;
    Figure figure{.name = fmt::format("{}, CPU of {}", name, program),
                  .unit = "ms",
                  .measured = each(time, measured_)};
    all.measured += figure.measured;
    const auto it = baseline_.cpu.find(program);
    if (it != baseline_.cpu.end() && it->second > absl::ZeroDuration()) {
      figure.baseline = each(it->second, baseline_);
      *all.baseline += *figure.baseline;
    }
    figures.push_back(std::move(figure));
  }
  figures.push_back(std::move(all));
  return figures;
}

void Report::AddCondition(std::string_view key, std::string_view value) {
  conditions_.push_back({std::string(key), std::string(value)});
}

std::string Report::Table() const {
  std::string table;
  for (const Condition& condition : conditions_) {
    table += fmt::format("{}: {}\n", condition.key, condition.value);
  }
  size_t width = 0;
  for (const Figure& figure : figures_) {
    width = std::max(width, figure.name.size());
  }
  const auto row = [&](auto... cells) {
    table += fmt::format("{:<{}}  {:>10} {:<4} {:>10} {:>7}  {:<14} {:<8} {}\n",
                         cells...);
  };
  table += "\n";
  row("", width, "measured", "", "baseline", "ratio", "rounds", "goal", "");
  for (const Figure& figure : figures_) {
    row(figure.name, width, fmt::format("{:.2f}", figure.measured), figure.unit,
        NumberOr(figure.baseline),
        figure.baseline ? NumberOr(figure.Judged()) : kNothing,
        RangeText(figure.round_ratios), GoalText(figure), VerdictText(figure));
  }
  return table;
}

std::string Report::Json() const {
  std::string json = "{\"conditions\":{";
  for (const Condition& condition : conditions_) {
    json += fmt::format("{}\n  {}:{}", json.back() == '{' ? "" : ",",
                        JsonString(condition.key), JsonString(condition.value));
  }
  json += "},\n\"figures\":[";
  for (const Figure& figure : figures_) {
    json += fmt::format("{}\n  {}", json.back() == '[' ? "" : ",",
                        FigureJson(figure));
  }
  return json + "]}\n";
}

}  // namespace latchkey_bench
