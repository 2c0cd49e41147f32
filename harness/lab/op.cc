#include "harness/lab/op.h"

#include <cstddef>
#include <iterator>

namespace rig::lab {
namespace {

constexpr std::string_view words[] = {
#define RIG_LAB_OP(name) #name,
    RIG_LAB_OPS(RIG_LAB_OP)
#undef RIG_LAB_OP
};

}  // namespace

std::string_view word(Op op) {
  return words[static_cast<std::size_t>(op)];
}

std::optional<Op> op_from_word(std::string_view text) {
  for (std::size_t index = 0; index < std::size(words); ++index) {
    if (words[index] == text) {
      return static_cast<Op>(index);
    }
  }
  return std::nullopt;
}

}  // namespace rig::lab
