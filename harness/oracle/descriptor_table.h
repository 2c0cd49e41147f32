// DescriptorTable: what an oracle of the kernel door knows of each descriptor.
#pragma once

#include <cstddef>
#include <limits>

#include "harness/oracle/sparse_array.h"

namespace rig {

// DescriptorTable holds an entry for each number below descriptors_max. A run has few descriptors, and they may begin
// anywhere. Thread: one at a time.
template <class Entry>
class DescriptorTable {
 public:
  // find answers null for what was never made; make does so beyond the table, and when memory has run out.
  Entry* find(int descriptor) const noexcept { return entries_.find(place(descriptor)); }
  Entry* make(int descriptor) noexcept { return entries_.make(place(descriptor)); }
  // each visits the entries that came into being, and some of their neighbours, with their numbers.
  template <class Visit>
  void each(Visit visit) const {
    entries_.each([&](std::size_t number, Entry& entry) { visit(static_cast<int>(number), entry); });
  }

  static constexpr std::size_t descriptors_max = 131'072;

 private:
  static constexpr std::size_t place(int descriptor) noexcept {
    return descriptor < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(descriptor);
  }

  SparseArray<Entry, descriptors_max, 8> entries_;
};

}  // namespace rig
