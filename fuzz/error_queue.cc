// The error queue: calls of several connections on one thread, between which lie errors that somebody else has left, in
// the library's error queue and in errno. Nothing may come of those (H2), nothing may be added to them (H1), and no
// failure's own report may get lost in them (H3).
//
// An input is a list of choices: which call comes next, on which connection. Two connections are pairs of engines in
// memory, the third one is the subject's, with both of its ends. All of it is done twice, once as it is and once with
// errors planted in front of the calls that the input says; every answer must be the same.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/choices.h"
#include "fuzz/engine_pairs.h"
#include "fuzz/finding.h"
#include "fuzz/lab_target.h"
#include "fuzz/stand.h"

namespace {

using rig::Answer;
using rig::Choices;
using rig::Side;

constexpr std::size_t calls_max = 96;
constexpr std::uint64_t sends_max = 32;
constexpr std::array<std::size_t, 4> sizes{1, 500, 16'385, 0};

// Place is all connections of one run, and what they have answered so far.
struct Place {
  rig::EnginePairs& pairs;
  rig::Stand& stand;
  rig::Planting& planting;
  std::vector<Answer>& answers;
  std::uint64_t sends = 0;
};

std::uint64_t outcome_number(const rig::End::Outcome& outcome) {
  return !outcome.came ? 0 : !outcome.error.has_value() ? 1 : static_cast<std::uint64_t>(outcome.error->code()) + 2;
}

void tell(Place& place, std::string call) {
  Answer answer{.call = std::move(call), .figures = {}};
  for (const Side side : {Side::client, Side::server}) {
    rig::End& end = place.stand.end(side);
    const auto totals = end.ledger().totals();
    for (const std::uint64_t figure :
         {outcome_number(end.connected_outcome()), outcome_number(end.closed_outcome()), std::uint64_t{end.ended()},
          totals.completed_at_once, totals.went_pending, totals.refused, totals.callbacks, totals.failed,
          end.incoming().received_bytes()}) {
      answer.figures.push_back(figure);
    }
  }
  place.answers.push_back(std::move(answer));
}

void turn(Place& place, std::uint64_t limit_us) {
  place.planting.before();
  place.stand.turn(limit_us);
  tell(place, "a turn of the loop");
}

void act(Place& place, Choices& choices) {
  const Side side = choices.next() % 2 != 0 ? Side::server : Side::client;
  rig::End& end = place.stand.end(side);
  const std::uint8_t which = choices.next() % 16;
  place.planting.before();
  if (which < rig::app_verbs.size()) {
    const rig::Verb verb = rig::app_verbs[which];
    end.perform(verb);
    tell(place, std::string(rig::word(verb)) + " of the subject's " + std::string(rig::word(side)));
  } else if (place.sends++ < sends_max) {
    end.send(sizes[which % sizes.size()], false);
    tell(place, "send of the subject's " + std::string(rig::word(side)));
  }
}

void call(Place& place, Choices& choices) {
  const std::uint8_t who = choices.next() % 8;
  if (who >= 6) {
    act(place, choices);
  } else if (who >= 4) {
    turn(place, choices.next() % 8 == 1 ? rig::beyond_deadlines_us : 0);
  } else {
    // Most of all they are driven on, or nothing would come of what is asked.
    const std::uint8_t which = choices.next() % 16;
    const auto deed = which < rig::pair_deeds ? static_cast<rig::PairDeed>(which) : rig::PairDeed::step;
    const std::uint8_t choice = choices.next();
    const std::size_t amount = deed < rig::PairDeed::session ? sizes[choice % sizes.size()] : choice;
    const auto said = deed == rig::PairDeed::hear ? choices.literal(amount % 256) : rig::ByteView();
    place.answers.push_back(place.pairs.act(who / 2, who % 2 != 0, deed, amount, said));
  }
}

std::vector<Answer> run(rig::ByteView bytes, bool plants) {
  Choices choices(bytes);
  const std::uint8_t first = choices.next();
  const std::string library(rig::fuzz_backend());
  const rig::TlsChoice tls = rig::stand_tls(library, (first & 1) != 0);
  const std::uint8_t pattern = static_cast<std::uint8_t>(~choices.next());
  rig::Planting planting(plants, pattern, choices.next());
  std::vector<Answer> answers;
  rig::Stand stand(
      {.library = library, .tls = tls, .fast_track = (first & 2) == 0, .renegotiation = true, .poison = plants});
  {
    rig::EnginePairs pairs({.library = library,
                            .pairs = 2,
                            .tls13 = tls == rig::TlsChoice::tls13,
                            .out_bytes_max = (first & 4) == 0 ? 65'536U : 100U,
                            .natures = (first & 8) == 0 ? nullptr : &choices},
                           planting, stand.log());
    Place place{.pairs = pairs, .stand = stand, .planting = planting, .answers = answers};
    stand.connect(stand.listen());
    for (std::size_t calls = 0; calls < calls_max && choices.left(); ++calls) {
      call(place, choices);
    }
  }
  stand.finish();
  return answers;
}

std::string text_of(const Answer& answer) {
  std::string text;
  for (const std::uint64_t figure : answer.figures) {
    text += (text.empty() ? "" : " ") + std::to_string(figure);
  }
  return text;
}

// Whether a run without anything planted begins with these answers as well: a library draws lots, as GnuTLS does for
// the order of its extensions, and what becomes of a message that was spoilt may depend on that.
bool is_chance(rig::ByteView bytes, std::span<const Answer> answers) {
  constexpr int draws = 1500;
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<Answer> clean;
    rig::on_one_thread([&] { clean = run(bytes, false); });
    if (std::ranges::mismatch(clean, answers).in2 == answers.end()) {
      return true;
    }
  }
  return false;
}

void judge(rig::ByteView bytes, const std::vector<Answer>& clean, const std::vector<Answer>& planted) {
  if (clean == planted) {
    return;
  }
  const auto [one, other] = std::ranges::mismatch(clean, planted);
  rig::demand(one != clean.end() && other != planted.end(), "H2: there is a call more where an older error lies");
  if (!is_chance(bytes, {planted.begin(), other + 1})) {
    rig::found("H2: call " + std::to_string(one - clean.begin() + 1) + ", " + one->call +
               ", has another outcome where an older error lies in front of it: " + text_of(*one) + "; and " +
               text_of(*other));
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  rig::enter_lab_or_end();
  // What is made once is made here: the first of two runs must not draw more than the second.
  for (const std::uint8_t first : {0, 1}) {
    rig::on_one_thread([first] { run({&first, 1}, false); });
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned int seed) {
  return rig::mutate_choices(data, size, room, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<Answer> clean;
  std::vector<Answer> planted;
  rig::on_one_thread([&] { clean = run({data, size}, false); });
  rig::on_one_thread([&] { planted = run({data, size}, true); });
  judge({data, size}, clean, planted);
  return 0;
}
