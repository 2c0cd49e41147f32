#include "harness/oracle/library_hygiene.h"

#include <fmt/format.h>

#include <string>

namespace rig {

namespace {

bool drives(DoorVerb verb) {
  return verb == DoorVerb::handshake || verb == DoorVerb::read || verb == DoorVerb::peek || verb == DoorVerb::write ||
         verb == DoorVerb::shutdown;
}

bool is_failure(DoorOutcome outcome) {
  return outcome == DoorOutcome::fatal || outcome == DoorOutcome::broken;
}

const char* meaning(DoorOutcome outcome) {
  switch (outcome) {
    case DoorOutcome::want_read:
      return "waits for input";
    case DoorOutcome::want_write:
      return "waits for room";
    case DoorOutcome::end:
      return "met the peer's close_notify";
    default:
      return "did not fail";
  }
}

std::string where_of(TlsLibrary library, std::uint32_t thread) {
  return fmt::format("{}, thread {}", tls_library_name(library), thread);
}

}  // namespace

LibraryHygiene::LibraryHygiene(ViolationLog& log, bool poison) : log_(&log), poison_(poison) {
  CallStack::prepare();
}

LibraryHygiene::Ambient* LibraryHygiene::ambient(std::uint32_t thread, TlsLibrary library) noexcept {
  Thread* const here = threads_.make(thread);
  return here != nullptr ? &(*here)[static_cast<std::size_t>(library)] : nullptr;
}

// An entry that came since the last look was left by a call that no door announces.
void LibraryHygiene::note(Ambient& state, const DoorEntry& found) noexcept {
  if (found == state.known) {
    return;
  }
  state.known = found;
  state.left_by = "a call outside of the door";
  state.left_at = state.pushed_at;
}

void LibraryHygiene::entering(const DoorCall& call) noexcept {
  Ambient* const state = ambient(call.thread, call.library);
  if (state == nullptr || call.verb == DoorVerb::push) {
    return;
  }
  if (!call.nested) {
    note(*state, call.before);
  } else if (call.verb == DoorVerb::clear && call.before.number != 0) {
    state->emptied_in_callback = CallStack::capture(call.caller);
  }
  if (drives(call.verb) && !call.nested) {
    state->used = true;
    state->emptied_in_callback = {};
  }
}

void LibraryHygiene::left(const DoorCall& call, const DoorReturn& result) noexcept {
  Ambient* const state = ambient(call.thread, call.library);
  if (state == nullptr) {
    return;
  }
  if (call.nested) {
    return;
  }
  if (call.verb == DoorVerb::push) {
    state->pushed_at = CallStack::capture(call.caller);
    return;
  }
  if (call.verb == DoorVerb::classify) {
    classified(*state, call, result.outcome);
    return;
  }
  if (call.verb == DoorVerb::clear || call.verb == DoorVerb::take) {
    if (result.after.number == 0 && call.before.number != 0) {
      emptied(*state, call);
    }
    state->known = result.after;
    return;
  }
  if (drives(call.verb)) {
    driven(*state, call, result);
  } else if (call.verb == DoorVerb::destroy && state->failure.session == call.session) {
    state->failure = {};
  }
  if (result.after != state->known) {
    state->known = result.after;
    if (result.after.number != 0) {
      state->left_by = call.function;
      state->left_at = CallStack::capture(call.caller);
    }
  }
}

void LibraryHygiene::driven(Ambient& state, const DoorCall& call, const DoorReturn& result) noexcept {
  if (result.outcome == DoorOutcome::done) {
    state.failure = {};
    return;
  }
  state.failure = {.session = call.session,
                   .function = call.function,
                   .caller = call.caller,
                   .truth = result.outcome,
                   .stale = call.before.number != 0,
                   .reported = result.outcome == DoorOutcome::fatal && result.after.number != 0};
  if (result.errno_was_stale && sites_.first(Law::h2_nothing_believed, call.caller)) {
    log_->report(Law::h2_nothing_believed, where_of(call.library, call.thread),
                 fmt::format("{} failed by an errno that was there before: a function of the transport failed and set "
                             "none; called from {}",
                             call.function, CallStack::capture(call.caller).describe()));
  }
  const bool lost = result.outcome == DoorOutcome::broken && result.after.number == 0;
  if (lost && !state.emptied_in_callback.empty() && sites_.first(Law::h3_own_error, state.emptied_in_callback.site())) {
    log_->report(
        Law::h3_own_error, where_of(call.library, call.thread),
        fmt::format("{} failed without a reason: a callback within it emptied the queue, in {}; called from {}",
                    call.function, state.emptied_in_callback.describe(), describe_place(call.caller)));
  }
}

void LibraryHygiene::emptied(Ambient& state, const DoorCall& call) noexcept {
  if (state.failure.session != nullptr && state.failure.reported && state.failure.emptied_by == nullptr) {
    state.failure.emptied_by = call.function;
    state.failure.emptied_at = CallStack::capture(call.caller);
  }
}

void LibraryHygiene::classified(Ambient& state, const DoorCall& call, DoorOutcome answer) noexcept {
  const Failure failure = state.failure;
  if (failure.session == nullptr || failure.session != call.session) {
    return;
  }
  state.failure = {};
  if (failure.stale && !is_failure(failure.truth) && failure.truth != DoorOutcome::given_up &&
      failure.truth != DoorOutcome::other && is_failure(answer)) {
    if (sites_.first(Law::h2_nothing_believed, failure.caller)) {
      const bool planted = state.planted.number != 0 && state.known == state.planted;
      const std::string origin = planted ? "planted by tlsrig when control came back to the layer"
                                         : fmt::format("left by {} in {}", state.left_by, state.left_at.describe());
      log_->report(Law::h2_nothing_believed, where_of(call.library, call.thread),
                   fmt::format("{} {}, and {} calls that a failure because of an older entry ({}): the queue must be "
                               "empty before the call; called from {}",
                               failure.function, meaning(failure.truth), call.function, origin,
                               CallStack::capture(call.caller).describe()));
    }
    return;
  }
  if (failure.truth == DoorOutcome::fatal && failure.emptied_by != nullptr && answer != DoorOutcome::fatal &&
      sites_.first(Law::h3_own_error, failure.emptied_at.site())) {
    log_->report(Law::h3_own_error, where_of(call.library, call.thread),
                 fmt::format("{} failed and said why, but {} emptied the queue before {}, in {}", failure.function,
                             failure.emptied_by, call.function, failure.emptied_at.describe()));
  }
}

void LibraryHygiene::report_left(const Ambient& state, const LibraryDoor& door, const DoorEntry& entry,
                                 const DoorWait& wait) {
  std::array<char, 256> sentence{};
  if (door.describe != nullptr) {
    door.describe(entry.number, sentence.data(), sentence.size());
  }
  log_->report(Law::h1_nothing_left, where_of(door.library, wait.thread),
               fmt::format("{} left an entry in the {}, found at {}: {}; left in {}", state.left_by, door.ambient_name,
                           wait.function, sentence.data(),
                           state.left_at.empty() ? "a place that is not known" : state.left_at.describe()));
}

void LibraryHygiene::waiting(const DoorWait& wait) noexcept {
  if (!wait.blocks) {
    return;
  }
  for (std::size_t i = 0; i < tls_library_count; ++i) {
    const auto library = static_cast<TlsLibrary>(i);
    const LibraryDoor* const door = library_door(library);
    Ambient* const state = ambient(wait.thread, library);
    if (door == nullptr || door->latest == nullptr || state == nullptr) {
      continue;
    }
    const DoorEntry entry = door->latest();
    note(*state, entry);
    if (entry.number == 0 || entry == state->planted || entry == state->judged) {
      continue;
    }
    state->judged = entry;
    if (sites_.first(Law::h1_nothing_left, state->left_at.site())) {
      report_left(*state, *door, entry, wait);
    }
  }
}

void LibraryHygiene::returned(std::uint32_t thread) noexcept {
  for (std::size_t i = 0; poison_ && i < tls_library_count; ++i) {
    const auto library = static_cast<TlsLibrary>(i);
    const LibraryDoor* const door = library_door(library);
    Ambient* const state = ambient(thread, library);
    if (door != nullptr && door->clear != nullptr && state != nullptr && state->planted.number != 0 &&
        door->latest() == state->planted) {
      door->clear();
      state->known = {};
    }
  }
}

void LibraryHygiene::resumed(std::uint32_t thread) noexcept {
  for (std::size_t i = 0; poison_ && i < tls_library_count; ++i) {
    const auto library = static_cast<TlsLibrary>(i);
    const LibraryDoor* const door = library_door(library);
    Ambient* const state = ambient(thread, library);
    if (door == nullptr || door->plant == nullptr || state == nullptr || !state->used) {
      continue;
    }
    if (state->failure.session != nullptr || door->latest().number != 0) {
      continue;
    }
    door->plant();
    state->planted = state->known = door->latest();
  }
}

}  // namespace rig
