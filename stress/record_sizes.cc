#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

constexpr std::uint64_t record = 16'384;

// Sizes at which a length is cut wrong: nothing, one byte, around one record and several, around 16 bits, and beyond.
std::vector<std::uint64_t> sizes(Size size) {
  std::vector<std::uint64_t> found{0, 1, record - 1, record, record + 1};
  if (size == Size::tiny) {
    found.insert(found.end(), {2 * record - 1, 65'535, 65'536});
    return found;
  }
  for (std::uint64_t records = 2; records <= by_size(size, 0, 9, 33); ++records) {
    found.insert(found.end(), {records * record - 1, records * record, records * record + 1});
  }
  found.insert(found.end(), {131'071 + record, 200'000});
  return found;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("record_sizes", cell, size, seed);
  // One op at a time, and then all of them in a row; an op without bytes makes no `data`.
  std::vector<Step> client{connect(), await(Condition::connected)};
  std::vector<Step> server{await(Condition::connected)};
  std::uint64_t bytes = 0;
  std::uint64_t ops = 0;
  for (const std::uint64_t one : sizes(size)) {
    client.insert(client.end(), {send(1, one, one), await(Condition::sent)});
    bytes += one;
    ++ops;
    if (size != Size::tiny) {
      server.push_back(send(1, one, one));
      bytes += one;
      ++ops;
    }
  }
  server.push_back(await(Condition::sent));
  scenario.threads.push_back(on_loop(Side::client, {}, client));
  scenario.threads.push_back(on_loop(Side::server, {}, server));
  scenario.reaches.push_back({.counter = "ops", .at_least = ops});
  scenario.reaches.push_back({.counter = "bytes", .at_least = bytes});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& record_sizes_suite() {
  static const Suite suite{.name = "record_sizes",
                           .sentence = "ops of each size at which a length can be cut: around records, 16 bits, beyond",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
