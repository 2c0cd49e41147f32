// SparseArray: what an oracle knows of each of many numbers of which a run uses few.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

namespace rig {

// SparseArray has entries below entries_max, in pages that come into being when one of their entries is made, and so do
// the shelves that hold the pages: most of a table is never asked for, and making it empty for each run would cost more
// than the run's own questions. Thread: one at a time for the entries of one page.
template <class Entry, std::size_t entries_max, std::size_t page_entries>
class SparseArray {
 public:
  SparseArray() = default;
  ~SparseArray() {
    for (const std::atomic<Shelf*>& shelf : shelves_) {
      delete shelf.load(std::memory_order_relaxed);
    }
  }
  SparseArray(const SparseArray&) = delete;
  SparseArray& operator=(const SparseArray&) = delete;

  // find answers null for what was never made; make does so beyond the end, and when memory has run out.
  Entry* find(std::size_t number) const noexcept {
    if (number >= entries_max) {
      return nullptr;
    }
    const Shelf* const shelf = shelves_[number / shelf_entries].load(std::memory_order_acquire);
    return shelf == nullptr ? nullptr : entry(shelf->pages[place_on_shelf(number)].get(), number);
  }
  Entry* make(std::size_t number) noexcept {
    if (number >= entries_max) {
      return nullptr;
    }
    Shelf* const shelf = make_shelf(shelves_[number / shelf_entries]);
    if (shelf == nullptr) {
      return nullptr;
    }
    std::unique_ptr<Page>& page = shelf->pages[place_on_shelf(number)];
    if (page == nullptr) {
      page.reset(new (std::nothrow) Page{});
    }
    return entry(page.get(), number);
  }
  // make_or answers `spare` where make answers null.
  Entry& make_or(std::size_t number, Entry& spare) noexcept {
    Entry* const made = make(number);
    return made != nullptr ? *made : spare;
  }
  // each visits the entries of all pages, with their numbers.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t first = 0; first < entries_max; first += shelf_entries) {
      const Shelf* const shelf = shelves_[first / shelf_entries].load(std::memory_order_acquire);
      for (std::size_t page = 0; shelf != nullptr && page < shelf_pages; ++page) {
        for (std::size_t at = 0; shelf->pages[page] != nullptr && at < page_entries; ++at) {
          visit(first + page * page_entries + at, (*shelf->pages[page])[at]);
        }
      }
    }
  }

 private:
  using Page = std::array<Entry, page_entries>;
  static constexpr std::size_t shelf_pages = std::min<std::size_t>(entries_max / page_entries, 64);
  static constexpr std::size_t shelf_entries = shelf_pages * page_entries;
  static_assert(entries_max % shelf_entries == 0);
  struct Shelf {
    std::array<std::unique_ptr<Page>, shelf_pages> pages{};
  };

  static constexpr std::size_t place_on_shelf(std::size_t number) noexcept {
    return number % shelf_entries / page_entries;
  }
  static Entry* entry(Page* page, std::size_t number) noexcept {
    return page == nullptr ? nullptr : &(*page)[number % page_entries];
  }
  // Its pages have a thread each, and two of these may come to the shelf at once.
  static Shelf* make_shelf(std::atomic<Shelf*>& place) noexcept {
    Shelf* known = place.load(std::memory_order_acquire);
    if (known != nullptr) {
      return known;
    }
    std::unique_ptr<Shelf> made(new (std::nothrow) Shelf);
    return made != nullptr && place.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)
               ? made.release()
               : known;
  }

  std::array<std::atomic<Shelf*>, entries_max / shelf_entries> shelves_{};
};

}  // namespace rig
