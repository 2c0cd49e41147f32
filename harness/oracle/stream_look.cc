#include "harness/oracle/stream_look.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace rig {

namespace {

constexpr std::size_t telling_bytes = 4;  // fewer agree by chance
constexpr std::size_t needle_bytes = 16;  // more need not agree
constexpr std::size_t changed_max = 32;   // a longer run of changed bytes is not called a change
constexpr std::size_t skip_max = 8;       // strange bytes before something known
constexpr std::uint64_t searched_bytes_max = std::uint64_t{8} << 20;

// Sighting is a place in an op that wrong bytes agree with, from `skip` of them on.
struct Sighting {
  const KnownOp* op;
  std::uint64_t offset;
  std::size_t skip;
};

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 8))) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  }
  return text;
}

// changed_in_place is how many bytes differ before the expected ones go on; 0 if they do not.
std::size_t changed_in_place(ByteView actual, const StreamPayload& expected, std::uint64_t offset) {
  for (std::size_t count = 1; count <= changed_max && count < actual.size(); ++count) {
    if (offset + count >= expected.bytes) {
      return 0;
    }
    const ByteView rest = actual.subspan(count).first(std::min(actual.size() - count, needle_bytes));
    const std::size_t due = std::min<std::uint64_t>(rest.size(), expected.bytes - offset - count);
    if (due >= std::min(telling_bytes, count * 2) && expected.agreeing(offset + count, rest.first(due)) == due) {
      return count;
    }
  }
  return 0;
}

// sight_by_code asks the position code itself, which finds the place in any known op without a search.
std::optional<Sighting> sight_by_code(ByteView actual, const CodeWord& word, std::span<const KnownOp> known) {
  for (const KnownOp& op : known) {
    if (op.payload->echoed) {
      continue;
    }
    const auto offset = word.offset_in(op.payload->key, op.payload->bytes);
    if (!offset.has_value()) {
      continue;
    }
    for (std::size_t skip = word.at - std::min(word.at, *offset); skip <= word.at; ++skip) {
      const std::uint64_t start = *offset - (word.at - skip);
      if (op.payload->agreeing(start, actual.subspan(skip)) >= word.at - skip + 8) {
        return Sighting{&op, start, skip};
      }
    }
  }
  return std::nullopt;
}

// sight_in_op looks for `needle` in one op; at the op's end fewer bytes have to agree.
std::optional<std::uint64_t> sight_in_op(ByteView needle, const StreamPayload& payload) {
  Bytes generated;
  ByteView hay = payload.echo;
  if (!payload.echoed) {
    generated.resize(payload.bytes);
    code_fill(payload.key, 0, generated);
    hay = generated;
  }
  const std::uint8_t* begin = hay.data();
  const std::uint8_t* const end = begin + hay.size();
  const std::size_t least = std::min<std::size_t>(telling_bytes, hay.size());
  for (const std::uint8_t* at = begin; static_cast<std::size_t>(end - at) >= least && at < end; ++at) {
    at = static_cast<const std::uint8_t*>(std::memchr(at, needle[0], static_cast<std::size_t>(end - at)));
    if (at == nullptr || static_cast<std::size_t>(end - at) < least) {
      return std::nullopt;
    }
    const std::size_t count = std::min(needle.size(), static_cast<std::size_t>(end - at));
    if (std::memcmp(at, needle.data(), count) == 0) {
      return static_cast<std::uint64_t>(at - begin);
    }
  }
  return std::nullopt;
}

// sight_by_search compares with the ops themselves, the likely ones first, up to a limit.
std::optional<Sighting> sight_by_search(ByteView actual, std::span<const KnownOp> known) {
  for (std::size_t skip = 0; skip <= skip_max && skip + telling_bytes <= actual.size(); ++skip) {
    const ByteView needle = actual.subspan(skip).first(std::min(actual.size() - skip, needle_bytes));
    std::uint64_t searched = 0;
    for (const KnownOp& op : known) {
      if (op.payload->bytes < telling_bytes || op.payload->bytes > searched_bytes_max) {
        continue;
      }
      searched += op.payload->bytes;
      if (searched > searched_bytes_max) {
        break;
      }
      if (const auto offset = sight_in_op(needle, *op.payload)) {
        return Sighting{&op, *offset, skip};
      }
    }
  }
  return std::nullopt;
}

std::string tell(const Sighting& seen, const StreamPayload* expected, std::uint64_t offset) {
  const StreamPayload& op = *seen.op->payload;
  const std::string strange = seen.skip == 0 ? "" : fmt::format("after {} strange byte(s) ", seen.skip);
  if (&op == expected) {
    if (seen.offset > offset) {
      return fmt::format("{}the op goes on at its byte {}: {} byte(s) are missing.", strange, seen.offset,
                         seen.offset - offset);
    }
    return fmt::format("{}the op is taken up again at its byte {}: {} byte(s) come twice.", strange, seen.offset,
                       offset - seen.offset);
  }
  const std::string from = seen.offset == 0 ? "" : fmt::format(", from its byte {} of {}", seen.offset, op.bytes);
  switch (seen.op->state) {
    case KnownOp::State::refused:
      return fmt::format("{}op {} comes{}, which was refused.", strange, op.token, from);
    case KnownOp::State::arrived:
      return fmt::format("{}op {} comes again{}, which has arrived already (doubled).", strange, op.token, from);
    case KnownOp::State::under_way:
    case KnownOp::State::awaited:
      break;
  }
  if (expected != nullptr && offset > 0) {
    return fmt::format("{}op {} comes{}: the end of op {} is missing ({} bytes), or the two are mixed.", strange,
                       op.token, from, expected->token, expected->bytes - offset);
  }
  if (seen.offset > 0) {
    return fmt::format("{}op {} comes{}: what stands before is missing.", strange, op.token, from);
  }
  return fmt::format("{}op {} comes first: the expected one was skipped or overtaken.", strange, op.token);
}

}  // namespace

std::size_t StreamPayload::agreeing(std::uint64_t offset, ByteView actual) const {
  const std::size_t count = std::min<std::uint64_t>(actual.size(), offset < bytes ? bytes - offset : 0);
  std::array<std::uint8_t, 4096> block;
  for (std::size_t done = 0; done < count;) {
    const std::size_t part = std::min(count - done, block.size());
    const std::uint8_t* due = block.data();
    if (echoed) {
      due = echo.data() + offset + done;
    } else {
      code_fill(key, offset + done, MutableBytes(block).first(part));
    }
    if (std::memcmp(due, actual.data() + done, part) != 0) {
      return done + static_cast<std::size_t>(std::mismatch(due, due + part, actual.data() + done).first - due);
    }
    done += part;
  }
  return count;
}

std::string stream_look(ByteView actual, const StreamPayload* expected, std::uint64_t offset,
                        std::span<const KnownOp> known) {
  const std::string shown = fmt::format(" [{}{}]", hex(actual), actual.size() > 8 ? " ..." : "");
  if (expected != nullptr) {
    if (const std::size_t count = changed_in_place(actual, *expected, offset); count > 0) {
      return fmt::format("{} byte(s) are changed, then the op goes on as it should.", count) + shown;
    }
  }
  const auto word = code_find(actual);
  if (word.has_value()) {
    if (const auto seen = sight_by_code(actual, *word, known)) {
      return tell(*seen, expected, offset) + shown;
    }
  }
  if (const auto seen = sight_by_search(actual, known)) {
    return tell(*seen, expected, offset) + shown;
  }
  const bool echoes = std::ranges::any_of(known, [](const KnownOp& op) { return op.payload->echoed; });
  if (word.has_value() && !echoes) {
    return "payload of another stream comes, of no op of this one." + shown;
  }
  if (actual.size() < telling_bytes) {
    return fmt::format("{} other byte(s) come, too few to tell whose they are.", actual.size()) + shown;
  }
  return "bytes come that are of no op of this stream." + shown;
}

}  // namespace rig
