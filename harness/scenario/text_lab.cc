#include "harness/scenario/text_lab.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <vector>

#include "harness/scenario/scenario.h"
#include "harness/scenario/text.h"
#include "harness/scenario/text_fields.h"

namespace rig {
namespace {

using LabField = Field<LabPart, bool, std::uint32_t, std::uint64_t, lab::PolicyKind, lab::Profile, LibraryPoints>;
using FaultField =
    Field<lab::Fault, bool, std::uint64_t, std::int64_t, std::optional<std::uint32_t>, lab::FaultSide, lab::Op>;

constexpr std::size_t switches_per_line = 12;
constexpr std::uint64_t first_descriptor_max = 1'000'000;

const std::array lab_fields{
    LabField{"policy", &LabPart::policy},
    LabField{"profile", &LabPart::profile},
    LabField{"first_descriptor", &LabPart::first_descriptor, first_descriptor_max},
    LabField{"library_points", &LabPart::library_points},
    LabField{"random_faults", &LabPart::random_faults},
};

const std::array fault_fields{
    FaultField{"side", &lab::Fault::side},     FaultField{"connection", &lab::Fault::connection},
    FaultField{"op", &lab::Fault::op},         FaultField{"nth", &lab::Fault::nth},
    FaultField{"offset", &lab::Fault::offset}, FaultField{"amount", &lab::Fault::amount},
    FaultField{"sticky", &lab::Fault::sticky},
};

// Hashes stand as 16 hexadecimal digits.
std::string print_hash(std::uint64_t hash) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = text.size(); i-- > 0; hash >>= 4) {
    text[i] = digits[hash & 15];
  }
  return text;
}

Read<std::uint64_t> read_hash(TextLine& line, const std::string& what) {
  const TextWord word = line.peek();
  std::uint64_t hash = 0;
  const char* end = word.raw.data() + word.raw.size();
  if (word.raw.size() != 16 || std::from_chars(word.raw.data(), end, hash, 16).ptr != end) {
    return line.refuse(what + " (16 hexadecimal digits)");
  }
  line.skip();
  return hash;
}

// "2@153>1": at its step 153, thread 2 gives way to thread 1.
Read<lab::Switch> read_switch(TextLine& line) {
  const auto [thread, behind] = cut(line.peek(), "@");
  const auto [step, next] = cut(behind, ">");
  if (step.raw.empty() || next.raw.empty()) {
    return line.refuse("a switch, as 2@153>1 (thread 2 gives way to thread 1 at its step 153),");
  }
  RIG_TRY(from, line.number("a thread", TextLimits::lab_threads, thread));
  RIG_TRY(at, line.number("the step of a thread", TextLimits::lab_steps, step));
  RIG_TRY(to, line.number("a thread", TextLimits::lab_threads, next));
  line.skip();
  return lab::Switch{static_cast<std::uint32_t>(from), at, static_cast<std::uint32_t>(to)};
}

template <class Enum, std::size_t Count>
std::array<Word<Enum>, Count> table_of() {
  std::array<Word<Enum>, Count> table{};
  for (std::size_t i = 0; i < Count; ++i) {
    table[i] = {static_cast<Enum>(i), word(static_cast<Enum>(i))};
  }
  return table;
}

}  // namespace

std::string_view word(LibraryPoints points) noexcept {
  constexpr std::array<std::string_view, 3> texts{"by_seed", "on", "off"};
  return texts[static_cast<std::size_t>(points)];
}

#define RIG_LAB_WORDS(Enum, last)                                                         \
  template <>                                                                             \
  std::span<const Word<Enum>> words<Enum>() noexcept {                                    \
    static const auto table = table_of<Enum, static_cast<std::size_t>(Enum::last) + 1>(); \
    return table;                                                                         \
  }
RIG_LAB_WORDS(LibraryPoints, off)
RIG_LAB_WORDS(lab::PolicyKind, none)
RIG_LAB_WORDS(lab::Profile, adversarial)
RIG_LAB_WORDS(lab::FaultKind, block)
RIG_LAB_WORDS(lab::FaultSide, server)
RIG_LAB_WORDS(lab::Op, note)
#undef RIG_LAB_WORDS

std::string print_lab(const LabPart& part) {
  std::string text;
  if (const std::string changed = print_changed(part, lab_fields); !changed.empty()) {
    text += "lab" + changed + "\n";
  }
  for (const lab::Fault& fault : part.faults) {
    text += "fault " + std::to_string(fault.number) + " " + std::string(word(fault.kind)) +
            print_changed(fault, fault_fields) + "\n";
  }
  for (std::size_t i = 0; i < part.switches.size(); ++i) {
    const lab::Switch& one = part.switches[i];
    text += i % switches_per_line == 0 ? "switches" : "";
    text += " " + std::to_string(one.thread) + "@" + std::to_string(one.step) + ">" + std::to_string(one.next);
    text += i % switches_per_line == switches_per_line - 1 || i + 1 == part.switches.size() ? "\n" : "";
  }
  if (part.events != 0) {
    text += "recorded " + std::to_string(part.events) + " events schedule " + print_hash(part.schedule_hash) +
            " bytes " + print_hash(part.byte_hash) + "\n";
  }
  return text;
}

Read<void> read_lab(TextLine& line, LabPart& part) {
  std::set<std::size_t> said;
  return read_fields(line, "a word of the lab", lab_fields, part, [&](std::size_t index, TextWord key) -> Read<void> {
    if (!said.insert(index).second) {
      return line.refuse_at(key.column, "'" + std::string(key.raw) + "' stands here for the second time");
    }
    return {};
  });
}

Read<void> read_fault(TextLine& line, LabPart& part) {
  if (part.faults.size() >= TextLimits::faults) {
    return line.refuse_at(line.front().column,
                          "too many faults: a text has at most " + std::to_string(TextLimits::faults));
  }
  lab::Fault fault;
  RIG_TRY(number, line.number("the number of a fault", TextLimits::faults * 1000));
  RIG_TRY(kind, line.enumerator<lab::FaultKind>("what goes wrong"));
  fault.number = static_cast<std::uint32_t>(number);
  fault.kind = kind;
  std::set<std::size_t> said;
  RIG_TRY_STATUS(
      read_fields(line, "a word of a fault", fault_fields, fault, [&](std::size_t index, TextWord key) -> Read<void> {
        if (!said.insert(index).second) {
          return line.refuse_at(key.column, "'" + std::string(key.raw) + "' stands here for the second time");
        }
        return {};
      }));
  part.faults.push_back(fault);
  return {};
}

Read<void> read_switches(TextLine& line, LabPart& part) {
  do {
    if (part.switches.size() >= TextLimits::switches) {
      return line.refuse_at(line.front().column,
                            "too many switches: a text has at most " + std::to_string(TextLimits::switches));
    }
    RIG_TRY(one, read_switch(line));
    part.switches.push_back(one);
  } while (!line.at_end());
  return {};
}

Read<void> read_recorded(TextLine& line, LabPart& part) {
  RIG_TRY(events, line.number("the number of recorded events", ~std::uint64_t{0}));
  if (!line.take_if("events") || !line.take_if("schedule")) {
    return line.refuse("'events schedule'");
  }
  RIG_TRY(schedule, read_hash(line, "the hash of the schedule"));
  if (!line.take_if("bytes")) {
    return line.refuse("'bytes'");
  }
  RIG_TRY(bytes, read_hash(line, "the hash of the bytes"));
  part.events = events;
  part.schedule_hash = schedule;
  part.byte_hash = bytes;
  return {};
}

}  // namespace rig
