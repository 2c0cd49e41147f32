// SparseArray: what an oracle knows of each of many numbers of which a run uses few.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>

namespace rig {

// SparseArray has entries below entries_max, in pages that come into being when one of their entries is made: most of a
// table is never asked for, and making it empty for each run would cost more than the run's own questions.
// Thread: one at a time for the entries of one page.
template <class Entry, std::size_t entries_max, std::size_t page_entries>
class SparseArray {
 public:
  // find answers null for what was never made; make does so beyond the end, and when memory has run out.
  Entry* find(std::size_t number) const noexcept {
    if (number >= entries_max || pages_[number / page_entries] == nullptr) {
      return nullptr;
    }
    return &(*pages_[number / page_entries])[number % page_entries];
  }
  Entry* make(std::size_t number) noexcept {
    if (number >= entries_max) {
      return nullptr;
    }
    std::unique_ptr<Page>& page = pages_[number / page_entries];
    if (page == nullptr) {
      page.reset(new (std::nothrow) Page{});
    }
    return find(number);
  }
  // each visits the entries of all pages, with their numbers.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t page = 0; page < pages_.size(); ++page) {
      for (std::size_t at = 0; pages_[page] != nullptr && at < page_entries; ++at) {
        visit(page * page_entries + at, (*pages_[page])[at]);
      }
    }
  }

 private:
  static_assert(entries_max % page_entries == 0);
  using Page = std::array<Entry, page_entries>;
  std::array<std::unique_ptr<Page>, entries_max / page_entries> pages_{};
};

}  // namespace rig
