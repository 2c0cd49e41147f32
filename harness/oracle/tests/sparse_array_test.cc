#include "harness/oracle/sparse_array.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

namespace rig {
namespace {

struct Counted {
  static inline int made = 0;
  Counted() { ++made; }
  int value = 7;
};

using Numbers = SparseArray<Counted, 64, 8>;

TEST(SparseArray, what_was_never_made_is_not_found) {
  Numbers numbers;
  EXPECT_EQ(numbers.find(0), nullptr);
  ASSERT_NE(numbers.make(9), nullptr);
  EXPECT_EQ(numbers.find(9), numbers.make(9));
  EXPECT_EQ(numbers.find(9)->value, 7);
  EXPECT_NE(numbers.find(8), nullptr) << "of the same page";
  EXPECT_EQ(numbers.find(7), nullptr);
  EXPECT_EQ(numbers.find(16), nullptr);
}

TEST(SparseArray, a_page_is_made_once_and_no_other_with_it) {
  Counted::made = 0;
  Numbers numbers;
  EXPECT_EQ(Counted::made, 0);
  numbers.make(20)->value = 1;
  numbers.make(21);
  EXPECT_EQ(Counted::made, 8);
  EXPECT_EQ(numbers.find(20)->value, 1);
}

TEST(SparseArray, there_is_nothing_beyond_its_end) {
  Numbers numbers;
  EXPECT_NE(numbers.make(63), nullptr);
  EXPECT_EQ(numbers.make(64), nullptr);
  EXPECT_EQ(numbers.find(64), nullptr);
  EXPECT_EQ(numbers.make(std::numeric_limits<std::size_t>::max()), nullptr);
}

TEST(SparseArray, each_visits_the_pages_that_exist_in_order) {
  Numbers numbers;
  numbers.make(60);
  numbers.make(3);
  std::vector<std::size_t> visited;
  numbers.each([&](std::size_t number, const Counted&) { visited.push_back(number); });
  EXPECT_EQ(visited, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 56, 57, 58, 59, 60, 61, 62, 63}));
}

TEST(SparseArray, a_large_one_is_small_while_it_is_empty) {
  SparseArray<int, 131'072, 8> numbers;
  EXPECT_LE(sizeof(numbers), 4096);
  *numbers.make(131'071) = 1;
  *numbers.make(512) = 2;
  EXPECT_EQ(numbers.find(511), nullptr);
  EXPECT_EQ(numbers.find(131'063), nullptr);
  std::vector<std::size_t> visited;
  numbers.each([&](std::size_t number, int value) {
    if (value != 0) {
      visited.push_back(number);
    }
  });
  EXPECT_EQ(visited, (std::vector<std::size_t>{512, 131'071}));
}

TEST(SparseArray, each_page_may_have_a_thread_of_its_own) {
  SparseArray<std::size_t, 256, 1> numbers;
  constexpr std::size_t step = 4;
  std::vector<std::jthread> threads;
  for (std::size_t first = 0; first < step; ++first) {
    threads.emplace_back([&numbers, first] {
      for (std::size_t number = first; number < 256; number += step) {
        *numbers.make(number) = number;
      }
    });
  }
  threads.clear();
  numbers.each([](std::size_t number, std::size_t value) { EXPECT_EQ(value, number); });
  EXPECT_NE(numbers.find(255), nullptr);
}

}  // namespace
}  // namespace rig
