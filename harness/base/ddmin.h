// ddmin: from a list that fails to a small one that still does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace rig {

// ddmin takes parts of ever smaller size away from `items`, as long as what is left fails. `run(candidate)` answers
// nothing if the candidate does not fail, else the list that the failing run really used: what it did not come to may
// be missing. The result fails, and no single item can be taken away from it, unless run() has stopped answering.
// Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002 (its complement step).
template <class Item, class Run>
std::vector<Item> ddmin(std::vector<Item> items, Run run) {
  std::size_t part = std::max<std::size_t>(1, items.size() / 2);
  while (!items.empty()) {
    part = std::min(part, items.size());
    bool smaller = false;
    for (std::size_t at = 0; at < items.size();) {
      std::vector<Item> candidate = items;
      const auto begin = candidate.begin() + static_cast<std::ptrdiff_t>(at);
      candidate.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, items.size() - at)));
      std::optional<std::vector<Item>> used = run(candidate);
      if (used.has_value() && used->size() < items.size()) {
        items = std::move(*used);
        smaller = true;
      } else {
        at += part;
      }
    }
    if (part == 1 && !smaller) {
      break;
    }
    part = std::max<std::size_t>(1, part / 2);
  }
  return items;
}

}  // namespace rig
