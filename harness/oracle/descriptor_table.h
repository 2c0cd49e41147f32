// DescriptorTable: what an oracle of the kernel door knows of each descriptor.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>

namespace rig {

// DescriptorTable holds an entry for each number below descriptors_max, in pages that come into being when one of their
// numbers is made: a run has few descriptors, and they may begin anywhere. Thread: one at a time.
template <class Entry>
class DescriptorTable {
 public:
  // find answers null for what was never made; make does so beyond the table, and when memory has run out.
  Entry* find(int descriptor) const noexcept {
    const auto number = static_cast<std::size_t>(descriptor);
    if (descriptor < 0 || number >= descriptors_max || pages_[number / page_entries] == nullptr) {
      return nullptr;
    }
    return &(*pages_[number / page_entries])[number % page_entries];
  }
  Entry* make(int descriptor) noexcept {
    const auto number = static_cast<std::size_t>(descriptor);
    if (descriptor < 0 || number >= descriptors_max) {
      return nullptr;
    }
    std::unique_ptr<Page>& page = pages_[number / page_entries];
    if (page == nullptr) {
      page.reset(new (std::nothrow) Page{});
    }
    return find(descriptor);
  }
  // each visits the entries of all pages, with their numbers.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t page = 0; page < pages_.size(); ++page) {
      for (std::size_t at = 0; pages_[page] != nullptr && at < page_entries; ++at) {
        visit(static_cast<int>(page * page_entries + at), (*pages_[page])[at]);
      }
    }
  }

  static constexpr std::size_t descriptors_max = 131'072;

 private:
  static constexpr std::size_t page_entries = 64;
  using Page = std::array<Entry, page_entries>;
  std::array<std::unique_ptr<Page>, descriptors_max / page_entries> pages_{};
};

}  // namespace rig
