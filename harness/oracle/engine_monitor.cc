#include "harness/oracle/engine_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include "harness/base/call_stack.h"

namespace rig {

namespace {

bool drives(DoorVerb verb) {
  return verb == DoorVerb::handshake || verb == DoorVerb::read || verb == DoorVerb::peek || verb == DoorVerb::write ||
         verb == DoorVerb::shutdown || verb == DoorVerb::control;
}

bool concerns_session(DoorVerb verb) {
  return drives(verb) || verb == DoorVerb::destroy || verb == DoorVerb::reset;
}

bool reads(DoorVerb verb) {
  return verb == DoorVerb::read || verb == DoorVerb::peek;
}

// A retry with other bytes is what a fixed address hides. More than a record's worth is not looked at.
std::uint64_t hash_of(const void* data, std::size_t bytes) {
  constexpr std::size_t looked_at_max = 16384;
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::size_t i = 0; at != nullptr && i < std::min(bytes, looked_at_max); ++i) {
    hash = (hash ^ at[i]) * 0x100000001b3u;
  }
  return hash;
}

// GnuTLS says that nothing is to be added to what it holds back.
bool only_flushes(const DoorCall& call) {
  return call.library == TlsLibrary::gnutls && call.bytes == 0;
}

}  // namespace

EngineMonitor::EngineMonitor(ViolationLog& log) : log_(&log) {
  CallStack::prepare();
}

// place is where `key` is, or the free slot that ends the search for it. Open addressing: some slot is always free.
std::size_t EngineMonitor::place(const void* key) const noexcept {
  std::size_t at = session_slot(key);
  for (const Session* slot = sessions_.find(at); slot != nullptr && slot->key != nullptr && slot->key != key;
       slot = sessions_.find(at)) {
    at = (at + 1) % sessions_max;
  }
  return at;
}

EngineMonitor::Session* EngineMonitor::find(const void* key) const noexcept {
  Session* const slot = key != nullptr ? sessions_.find(place(key)) : nullptr;
  return slot != nullptr && slot->key == key ? slot : nullptr;
}

EngineMonitor::Session* EngineMonitor::insert(const void* key, TlsLibrary library) noexcept {
  if (Session* const known = find(key); known != nullptr) {
    return known;
  }
  // A quarter stays free, so that searches stay short.
  Session* const slot = live_[0] + live_[1] + live_[2] < sessions_max / 4 * 3 ? sessions_.make(place(key)) : nullptr;
  if (slot != nullptr) {
    *slot = {.key = key, .library = library, .number = next_number_++};
    ++live_[static_cast<std::size_t>(library)];
  }
  return slot;
}

void EngineMonitor::forget(const void* key) noexcept {
  std::size_t at = place(key);
  Session* const session = sessions_.find(at);
  if (session == nullptr || session->key == nullptr) {
    return;
  }
  --live_[static_cast<std::size_t>(session->library)];
  *session = {};
  // What lies behind it moves up, or a search would end at the hole.
  for (at = (at + 1) % sessions_max;; at = (at + 1) % sessions_max) {
    Session* const slot = sessions_.find(at);
    if (slot == nullptr || slot->key == nullptr) {
      return;
    }
    const Session moved = std::exchange(*slot, {});
    if (Session* const nearer = sessions_.make(place(moved.key)); nearer != nullptr) {
      *nearer = moved;
    }
  }
}

EngineMonitor::Finding EngineMonitor::judge_users(Session& session, const DoorCall& call) noexcept {
  const bool halves = call.library == TlsLibrary::gnutls;
  const bool as_reader = !halves || call.verb != DoorVerb::write;
  const bool as_writer = !halves || !reads(call.verb);
  const std::uint32_t me = call.thread + 1;
  for (User* const user : {as_reader ? &session.reader : nullptr, as_writer ? &session.writer : nullptr}) {
    if (user == nullptr) {
      continue;
    }
    if (user->thread_plus_1 != 0 && user->thread_plus_1 != me) {
      return {Law::e2_threads, session.number, "is entered while another thread is in it, in",
              user->function,  user->caller,   0};
    }
    *user = {.thread_plus_1 = me, .function = call.function, .caller = call.caller};
  }
  return {};
}

EngineMonitor::Finding EngineMonitor::judge_order(Session& session, const DoorCall& call) noexcept {
  if (!drives(call.verb)) {
    return {};
  }
  if (session.lost_in != nullptr) {
    if (std::exchange(session.loss_judged, true)) {
      return {};
    }
    return {Law::e3_order, session.number, "is used after the fatal failure of", session.lost_in, nullptr, 0};
  }
  if (call.verb == DoorVerb::write && call.library == TlsLibrary::gnutls && call.bytes > 0 && session.known &&
      !session.shaken) {
    return {Law::e3_order, session.number, "is given data to write before it has shaken hands", nullptr, nullptr, 0};
  }
  if (call.verb != DoorVerb::shutdown) {
    return {};
  }
  const bool tracked = call.library != TlsLibrary::openssl && session.handshake_begun && !session.handshake_done;
  if (call.in_handshake || tracked) {
    return {Law::e3_order, session.number, "is shut down within a handshake", nullptr, nullptr, 0};
  }
  if (session.write.waits) {
    return {Law::e3_order,          session.number, "is shut down while a write waits for room, that of",
            session.write.function, nullptr,        session.write.bytes};
  }
  return {};
}

EngineMonitor::Finding EngineMonitor::judge_write(const Session& session, const DoorCall& call) noexcept {
  const Write& write = session.write;
  const auto finding = [&](const char* what) {
    return Finding{Law::e1_retry, session.number, what, write.function, nullptr, write.bytes};
  };
  if (call.verb == DoorVerb::control && write.waits) {
    return finding("changes its keys while a write waits for room, that of");
  }
  if (call.verb != DoorVerb::write) {
    return {};
  }
  if (!write.waits) {
    // Programs begin a handshake so, OpenSSL's own s_client among them; it is harmless there.
    const bool empty = call.bytes == 0 && !call.may_be_empty && !call.in_handshake;
    return empty ? Finding{Law::e1_retry, session.number, "is given a write of no bytes", nullptr, nullptr, 0}
                 : Finding{};
  }
  if (only_flushes(call)) {
    return {};
  }
  if (call.bytes != write.bytes) {
    return finding(call.bytes < write.bytes ? "is given a shorter write in place of the one that waits, that of"
                                            : "is given a longer write in place of the one that waits, that of");
  }
  if (call.library == TlsLibrary::openssl && call.data != write.data && !call.may_move) {
    return finding("is given the write that waits from another address; it was that of");
  }
  return hash_of(call.data, call.bytes) != write.hash
             ? finding("is given other bytes in place of the write that waits, that of")
             : Finding{};
}

EngineMonitor::Finding EngineMonitor::judge_process(const DoorCall& call) noexcept {
  const auto library = static_cast<std::size_t>(call.library);
  if (call.verb == DoorVerb::init) {
    ++inits_[library];
    return {};
  }
  if (call.verb != DoorVerb::deinit) {
    return {};
  }
  const bool counts = call.library == TlsLibrary::gnutls;
  inits_[library] -= counts ? 1 : 0;
  if (inits_[library] < 0) {
    inits_[library] = 0;
    return {Law::e3_order, 0, "is ended more often than it was begun", nullptr, nullptr, 0};
  }
  if (live_[library] > 0 && inits_[library] == 0) {
    return {Law::e3_order, 0, "is ended while sessions live on:", nullptr, nullptr, live_[library]};
  }
  return {};
}

EngineMonitor::Finding EngineMonitor::judge_entry(const DoorCall& call) noexcept {
  const std::lock_guard guard(lock_);
  if (call.session == nullptr) {
    return judge_process(call);
  }
  if (!concerns_session(call.verb)) {
    return {};
  }
  Session* const session = call.verb == DoorVerb::destroy ? find(call.session) : insert(call.session, call.library);
  if (session == nullptr) {
    return {};
  }
  Finding finding = judge_users(*session, call);
  if (finding.what == nullptr) {
    finding = judge_order(*session, call);
  }
  if (finding.what == nullptr) {
    finding = judge_write(*session, call);
  }
  if (call.verb == DoorVerb::handshake) {
    session->handshake_begun = true;
  } else if (call.verb == DoorVerb::reset) {
    *session = {.key = session->key,
                .library = session->library,
                .number = session->number,
                .reader = session->reader,
                .writer = session->writer};
  } else if (call.verb == DoorVerb::destroy) {
    // As soon as the library has freed it, another thread may be given a session at this address.
    forget(call.session);
  }
  return finding;
}

void EngineMonitor::entering(const DoorCall& call) noexcept {
  if (const Finding finding = judge_entry(call); finding.what != nullptr) {
    report(finding, call);
  }
}

void EngineMonitor::Recent::add(const void* session) noexcept {
  const auto end = sessions.begin() + static_cast<std::ptrdiff_t>(count);
  if (count < sessions.size() && std::find(sessions.begin(), end, session) == end) {
    sessions[count++] = session;
  }
}

void EngineMonitor::learn(Session& session, const DoorCall& call, const DoorReturn& result) noexcept {
  if (result.outcome == DoorOutcome::fatal || result.outcome == DoorOutcome::broken) {
    session.lost_in = session.lost_in != nullptr ? session.lost_in : call.function;
    session.write.waits = false;
  }
  const bool may_want_room = call.verb == DoorVerb::handshake || reads(call.verb);
  session.wants_room = may_want_room && result.outcome == DoorOutcome::want_write;
  session.read_on = reads(call.verb) ? result.outcome == DoorOutcome::done : session.read_on;
  const bool asked_at_wait = session.wants_room || (reads(call.verb) && session.read_on);
  if (Recent* const recent = asked_at_wait ? recent_.make(call.thread) : nullptr; recent != nullptr) {
    recent->add(session.key);
  }
  if (result.outcome == DoorOutcome::given_up) {
    session.handshake_done = session.shaken;
  } else if (call.verb == DoorVerb::handshake) {
    session.handshake_done = result.outcome == DoorOutcome::done;
    session.shaken = session.shaken || session.handshake_done;
  } else if (call.verb == DoorVerb::write) {
    const bool waits = result.outcome == DoorOutcome::want_write && !call.in_handshake;
    if (waits && !session.write.waits && call.bytes > 0) {
      session.write = {.waits = true,
                       .data = call.data,
                       .bytes = call.bytes,
                       .hash = hash_of(call.data, call.bytes),
                       .function = call.function};
    } else if (result.outcome == DoorOutcome::done) {
      session.write.waits = false;
    }
  }
}

void EngineMonitor::left(const DoorCall& call, const DoorReturn& result) noexcept {
  if (call.session == nullptr || !(concerns_session(call.verb) || call.verb == DoorVerb::create)) {
    return;
  }
  const std::lock_guard guard(lock_);
  if (call.verb == DoorVerb::create) {
    forget(call.session);
    if (Session* const made = insert(call.session, call.library); made != nullptr) {
      made->known = true;
    }
    return;
  }
  Session* const session = call.verb == DoorVerb::destroy ? nullptr : find(call.session);
  if (session == nullptr) {
    return;
  }
  for (User* const user : {&session->reader, &session->writer}) {
    if (user->thread_plus_1 == call.thread + 1 && std::strcmp(user->function, call.function) == 0) {
      *user = {};
    }
  }
  learn(*session, call, result);
}

void EngineMonitor::waiting(const DoorWait& wait) noexcept {
  if (!wait.blocks || wait.waits_for_input == nullptr || wait.thread >= door_threads_max) {
    return;
  }
  std::array<Candidate, std::tuple_size_v<decltype(Recent::sessions)>> candidates;
  const std::size_t count = collect(wait.thread, candidates);
  for (std::size_t i = 0; i < count; ++i) {
    judge_wait(wait, candidates[i]);
  }
}

std::size_t EngineMonitor::collect(std::uint32_t thread, std::span<Candidate> found) noexcept {
  const std::lock_guard guard(lock_);
  Recent* const recent = recent_.find(thread);
  std::size_t count = 0;
  for (std::size_t i = 0; recent != nullptr && i < recent->count; ++i) {
    const Session* const session = find(recent->sessions[i]);
    if (session != nullptr && (session->read_on || session->wants_room) && session->reader.thread_plus_1 == 0) {
      found[count++] = {session->key, session->library, session->number, session->wants_room};
    }
  }
  if (recent != nullptr) {
    recent->count = 0;
  }
  return count;
}

void EngineMonitor::judge_wait(const DoorWait& wait, const Candidate& candidate) {
  const LibraryDoor* const door = library_door(candidate.library);
  if (door == nullptr || door->pending == nullptr || door->descriptor == nullptr) {
    return;
  }
  const std::size_t bytes = candidate.wants_room ? 0 : door->pending(candidate.key);
  const int descriptor = bytes > 0 || candidate.wants_room ? door->descriptor(candidate.key) : -1;
  if (descriptor < 0 || !wait.waits_for_input(wait, descriptor)) {
    return;
  }
  // Who waits for room as well comes back when there is some, and may read then.
  if (wait.ignores_room == nullptr || !wait.ignores_room(wait, descriptor)) {
    return;
  }
  // Where the library writes elsewhere, somebody else may wait there.
  if (candidate.wants_room &&
      (door->room_descriptor == nullptr || door->room_descriptor(candidate.key) != descriptor)) {
    return;
  }
  if (!sites_.first(Law::l1_progress, wait.caller)) {
    return;
  }
  const std::string why = candidate.wants_room ? "and what the library was last asked goes on when there is room"
                                               : fmt::format("and the library holds {} bytes of it already", bytes);
  log_->report(Law::l1_progress, fmt::format("{} session {}", door->name, candidate.number),
               fmt::format("{} waits for input on descriptor {}, {}; called from {}", wait.function, descriptor, why,
                           CallStack::capture(wait.caller).describe()));
}

void EngineMonitor::waived(const void* session) noexcept {
  const std::lock_guard guard(lock_);
  if (Session* const known = find(session); known != nullptr) {
    known->write.waits = false;
  }
}

void EngineMonitor::report(const Finding& finding, const DoorCall& call) {
  if (!sites_.first(finding.law, call.caller)) {
    return;
  }
  const char* const library = tls_library_name(call.library);
  const std::string where = finding.session == 0 ? library : fmt::format("{} session {}", library, finding.session);
  std::string earlier;
  if (finding.function != nullptr) {
    earlier = fmt::format(" {}", finding.function);
  }
  if (finding.caller != nullptr) {
    earlier += fmt::format(" (called from {})", describe_place(finding.caller));
  }
  if (finding.bytes != 0) {
    earlier += finding.session == 0 ? fmt::format(" {}", finding.bytes) : fmt::format(" with {} bytes", finding.bytes);
  }
  const std::string amount = call.verb == DoorVerb::write ? fmt::format(" with {} bytes", call.bytes) : "";
  log_->report(finding.law, where,
               fmt::format("{} {}{}; {}{} called from {}", finding.session == 0 ? "the library" : "the session",
                           finding.what, earlier, call.function, amount, CallStack::capture(call.caller).describe()));
}

}  // namespace rig
