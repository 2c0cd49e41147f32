// What the reference layer costs: its throughput over loopback beside that of the same library's engines in memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "stress/bench/link.h"

namespace rig::bench {
namespace {

// Load is what an iteration transfers.
struct Load {
  const char* name;
  std::size_t bytes;
  std::size_t count;
};
constexpr std::array loads{Load{"64B", 64, 256}, Load{"16KiB", 16384, 64}};

// Way is how: the pair comes first, the others are compared with it.
enum class Way : std::uint8_t { pair, layer_fast_on, layer_fast_off };
constexpr std::array ways{Way::pair, Way::layer_fast_on, Way::layer_fast_off};

const char* way_name(Way way) {
  return way == Way::pair ? "pair" : way == Way::layer_fast_on ? "layer_fast_on" : "layer_fast_off";
}

// Row is one line of the table; `rates` are messages per CPU second, one for each repetition.
struct Row {
  std::string backend;
  std::string tls;
  Load load;
  std::map<Way, std::vector<double>> rates;
};

std::vector<Row>& rows() {
  static std::vector<Row> all;
  return all;
}

std::string name_of(const Row& row, Way way) {
  return row.backend + "/" + row.tls + "/" + row.load.name + "/" + way_name(way);
}

void measure(benchmark::State& state, Backend& backend, TlsVersion version, const Load& load, Way way) {
  const auto link =
      way == Way::pair ? open_pair(backend, version) : open_layer(backend, version, way == Way::layer_fast_on);
  for ([[maybe_unused]] auto step : state) {
    link->transfer(load.count, load.bytes);
  }
  const auto messages = static_cast<std::int64_t>(state.iterations() * load.count);
  state.SetItemsProcessed(messages);
  state.SetBytesProcessed(messages * static_cast<std::int64_t>(load.bytes));
}

void register_all() {
  for (Backend* const backend : backends()) {
    std::vector<TlsVersion> versions;
    const Capabilities& can = backend->capabilities();
    if (can.tls12) {
      versions.push_back(TlsVersion::tls12);
    }
    if (can.tls13) {
      versions.push_back(TlsVersion::tls13);
    }
    if (versions.empty()) {
      versions.push_back(TlsVersion::none);
    }
    for (const TlsVersion version : versions) {
      for (const Load& load : loads) {
        rows().push_back({std::string(backend->name()), std::string(version_name(version)), load, {}});
        for (const Way way : ways) {
          benchmark::RegisterBenchmark(name_of(rows().back(), way).c_str(), [=](benchmark::State& state) {
            measure(state, *backend, version, load, way);
          })->MeasureProcessCPUTime();
        }
      }
    }
  }
}

// Collector keeps the rate of each repetition.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) {
        continue;
      }
      std::cerr << "." << std::flush;
      for (Row& row : rows()) {
        for (const Way way : ways) {
          if (run.run_name.function_name == name_of(row, way)) {
            row.rates[way].push_back(run.counters.at("items_per_second"));
          }
        }
      }
    }
  }

  void Finalize() override { std::cerr << "\n"; }
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// spread is how far the farthest repetition is from the median, as a part of it.
double spread(const std::vector<double>& values) {
  const double middle = median(values);
  const auto [least, most] = std::ranges::minmax(values);
  return std::max(middle - least, most - middle) / middle;
}

// rate_text is messages per second for small ones, and megabytes per second for bulk.
std::string rate_text(const Row& row, Way way) {
  const std::vector<double>& rates = row.rates.at(way);
  const bool bulk = row.load.bytes > 1024;
  const double rate = median(rates) * (bulk ? static_cast<double>(row.load.bytes) / 1e6 : 1e-3);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%8.1f %s +-%2.0f%%", rate, bulk ? "MB/s" : "k/s ", 100 * spread(rates));
  return text.data();
}

double ratio(const Row& row, Way way) {
  return median(row.rates.at(way)) / median(row.rates.at(Way::pair));
}

bool complete(const Row& row) {
  return row.rates.size() == ways.size();
}

void print_table() {
  std::printf("Per CPU second; median and farthest repetition. The ratio is to the engine pair of the same run.\n\n");
  std::printf("%-8s %-5s %-6s %20s %20s %6s %20s %6s\n", "backend", "tls", "size", "engine pair", "layer, fast on",
              "ratio", "layer, fast off", "ratio");
  for (const Row& row : rows()) {
    if (complete(row)) {
      std::printf("%-8s %-5s %-6s %20s %20s %6.3f %20s %6.3f\n", row.backend.c_str(), row.tls.c_str(), row.load.name,
                  rate_text(row, Way::pair).c_str(), rate_text(row, Way::layer_fast_on).c_str(),
                  ratio(row, Way::layer_fast_on), rate_text(row, Way::layer_fast_off).c_str(),
                  ratio(row, Way::layer_fast_off));
    }
  }
}

void print_json() {
  nlohmann::json all = nlohmann::json::array();
  for (const Row& row : rows()) {
    nlohmann::json one{
        {"backend", row.backend}, {"tls", row.tls}, {"load", row.load.name}, {"message_bytes", row.load.bytes}};
    for (const auto& [way, rates] : row.rates) {
      one[way_name(way)] = {
          {"messages_per_cpu_second", median(rates)}, {"spread", spread(rates)}, {"repetitions", rates.size()}};
      if (complete(row) && way != Way::pair) {
        one[way_name(way)]["ratio"] = ratio(row, way);
      }
    }
    if (!row.rates.empty()) {
      all.push_back(std::move(one));
    }
  }
  std::printf("\n%s\n", all.dump().c_str());
}

}  // namespace
}  // namespace rig::bench

int main(int argc, char** argv) {
  // What is first can be overruled by what the caller says.
  std::vector<std::string> words{argv[0], "--benchmark_repetitions=7", "--benchmark_enable_random_interleaving=true",
                                 "--benchmark_min_time=0.05"};
  words.insert(words.end(), argv + 1, argv + argc);
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  rig::bench::register_all();
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return 2;
  }
  rig::bench::Collector collector;
  if (benchmark::RunSpecifiedBenchmarks(&collector) == 0) {
    std::cerr << "bench_layer: no benchmark has that name; --benchmark_list_tests lists them\n";
    return 2;
  }
  rig::bench::print_table();
  rig::bench::print_json();
  return 0;
}
