// The C boundary: verbs of subject.h with arguments of every kind, good and bad, in any order. An argument that
// subject.h gives no meaning to is refused with a status and a sentence, and whatever else is asked does no harm.
//
// An input is a list of choices: which verb comes next, and for each argument which of its values. The connections are
// the lab's, on one thread.
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/choices.h"
#include "fuzz/finding.h"
#include "fuzz/lab_target.h"
#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/oracle/errno_table.h"
#include "harness/scenario/app_door.h"
#include "harness/subjects/subjects.h"

namespace {

using rig::Choices;

constexpr std::size_t calls_max = 64;
constexpr std::size_t handles_max = 8;

// Whether allocations of the layer fail in this run.
bool memory_fails = false;

// Value is one that an argument can have; a bad one must be refused.
template <class T>
struct Value {
  T value;
  bool bad = false;
};

// Call is one call being put together: whether any of its arguments is bad, and what was answered.
class Call {
 public:
  explicit Call(Choices& choices) : choices_(choices), with_error_(choices.next() % 4 != 0) {
    std::memset(&error_, 0x5a, sizeof error_);
  }

  template <class T, std::size_t count>
  T pick(const std::array<Value<T>, count>& values) {
    const Value<T>& chosen = values[choices_.next() % count];
    bad_ = bad_ || chosen.bad;
    return chosen.value;
  }

  // often picks `usual`, and rarely null, which is bad.
  template <class T>
  T* often(T* usual) {
    const bool null = choices_.next() >= 240;
    bad_ = bad_ || null || usual == nullptr;
    return null ? nullptr : usual;
  }
  void spoil() { bad_ = true; }

  rig_error* error() { return with_error_ ? &error_ : nullptr; }

  void judge(rig_status status) const {
    rig::demand(status >= RIG_OK && status <= RIG_INTERNAL, "a verb answered with a status that there is not");
    rig::demand(!bad_ || status == RIG_INVALID_ARGUMENT || (memory_fails && status == RIG_NO_MEMORY),
                "a bad argument was not refused as one");
    if (status == RIG_OK || !with_error_) {
      return;
    }
    rig::demand(error_.status == status, "the error's status is not the one that was answered");
    const std::size_t bytes = ::strnlen(error_.detail, sizeof error_.detail);
    rig::demand(bytes > 0 && bytes < sizeof error_.detail, "a refusal has no sentence, or one without an end");
  }

 private:
  Choices& choices_;
  const bool with_error_;
  bool bad_ = false;
  rig_error error_{};
};

struct Place;

// Seen is what one socket was told; its callbacks are counted, so that none comes after `closed`.
struct Seen {
  Place* place = nullptr;
  rig_socket* socket = nullptr;
  bool closed = false;
};

// Place is all that was made and has to be given back.
struct Place {
  const rig_subject& subject;
  rig_loop* loop = nullptr;
  std::vector<rig_context*> contexts;
  std::vector<rig_listener*> listeners;
  std::vector<std::unique_ptr<Seen>> sockets;  // null in `socket`: destroyed

  rig_socket* socket(std::uint8_t choice) const {
    return sockets.empty() ? nullptr : sockets[choice % sockets.size()]->socket;
  }
};

void expect_open(void* user, const char* callback) {
  const rig::CalledBack called_back("socket", callback);
  rig::demand(!static_cast<Seen*>(user)->closed, "a callback came after 'closed'");
}

constexpr rig_socket_callbacks counting{
    .connected = [](void* user, const rig_error*) { expect_open(user, "connected"); },
    .data = [](void* user, const std::uint8_t*, std::size_t) { expect_open(user, "data"); },
    .ended = [](void* user) { expect_open(user, "ended"); },
    .sent = [](void* user, std::uint64_t, std::size_t, const rig_error*) { expect_open(user, "sent"); },
    .writable = [](void* user) { expect_open(user, "writable"); },
    .closed =
        [](void* user, const rig_error*) {
          expect_open(user, "closed");
          static_cast<Seen*>(user)->closed = true;
        }};

constexpr rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
  const rig::CalledBack called_back("listener", "accepted");
  Place& place = *static_cast<Place*>(user);
  place.sockets.push_back(std::make_unique<Seen>(Seen{&place, socket, false}));
  place.subject.adopt(socket, &counting, place.sockets.back().get());
}};

const char* const key_text = "no PEM at all";
constexpr std::array<std::uint8_t, 16> key{1, 2, 3, 4};

// text_or is no text most of the time, else one that is none or the right one.
const char* text_or(std::uint8_t choice, const std::string& right) {
  return choice % 8 == 1 ? key_text : choice % 8 == 2 ? right.c_str() : nullptr;
}

void create_context(Place& place, Choices& choices) {
  Call call(choices);
  rig_context_config config{};
  config.library = call.pick(std::array<Value<const char*>, 4>{
      {{"null"}, {rig::fuzz_backend().data()}, {"no such library"}, {nullptr, true}}});
  config.server = choices.next() % 2;
  constexpr std::array<Value<std::uint32_t>, 4> versions{{{RIG_TLS_NONE}, {RIG_TLS_1_2}, {RIG_TLS_1_3}, {11, true}}};
  config.tls_min = call.pick(versions);
  config.tls_max = call.pick(versions);
  if (config.tls_min > config.tls_max || (config.tls_min == RIG_TLS_NONE && config.tls_max != RIG_TLS_NONE)) {
    call.spoil();
  }
  config.verify_peer = choices.next() % 2;
  config.allow_renegotiation = choices.next() % 2;
  static const rig::Credentials server = rig::credentials(rig::Identity::server);
  const std::uint8_t anchors = choices.next();
  config.ca_pem = anchors % 2 != 0 ? key_text : anchors % 4 == 2 ? rig::ca_pem().c_str() : nullptr;
  config.certificate_pem = text_or(choices.next(), server.certificate_chain_pem);
  config.private_key_pem = text_or(choices.next(), server.private_key_pem);
  if ((config.certificate_pem == nullptr) != (config.private_key_pem == nullptr)) {
    call.spoil();
  }
  config.psk_identity = choices.next() % 4 == 0 ? nullptr : "somebody";
  config.psk = choices.next() % 4 == 0 ? nullptr : key.data();
  config.psk_bytes = choices.next() % (key.size() + 1);
  const bool has_key = config.psk != nullptr && config.psk_bytes > 0;
  if ((config.psk_identity != nullptr) != has_key) {
    call.spoil();
  }
  rig_context* made = nullptr;
  const rig_status status = place.subject.context_create(call.often(&config), call.often(&made), call.error());
  if (status == RIG_OK) {
    place.contexts.push_back(made);
  }
  call.judge(status);
}

void create_loop(Place& place, Choices& choices) {
  Call call(choices);
  const rig_loop_config config{
      .poller = call.pick(std::array<Value<std::uint32_t>, 6>{
          {{RIG_POLLER_EPOLL}, {RIG_POLLER_POLL}, {RIG_POLLER_SELECT}, {0, true}, {3, true}, {1U << 31, true}}}),
      .fast_track = call.pick(std::array<Value<std::uint32_t>, 3>{{{0}, {1}, {2, true}}})};
  rig_loop* made = nullptr;
  const rig_status status = place.subject.loop_create(call.often(&config), call.often(&made), call.error());
  if (status == RIG_OK) {
    place.subject.loop_destroy(made);
  }
  call.judge(status);
}

rig_socket_config any_config(Choices& choices) {
  constexpr std::array<std::uint64_t, 6> sizes{0, 1, 4096, 65536, 1ULL << 31, ~0ULL};
  const auto any = [&] { return sizes[choices.next() % sizes.size()]; };
  return {.host = choices.next() % 2 != 0 ? "localhost" : nullptr,
          .nodelay = choices.next() % 2U,
          .queue_ops_max = static_cast<std::uint32_t>(any()),
          .queue_bytes_max = any(),
          .kernel_send_bytes = any(),
          .kernel_recv_bytes = any(),
          .connect_timeout_us = any(),
          .handshake_timeout_us = any(),
          .close_timeout_us = any(),
          .connections_max = static_cast<std::uint32_t>(any())};
}

// A host that is no numeric address may be refused in any words.
const char* any_host(Call& call) {
  return call.pick(
      std::array<Value<const char*>, 5>{{{"127.0.0.1"}, {"::1"}, {""}, {"256.0.0.1.example"}, {nullptr, true}}});
}

rig_socket_callbacks any_callbacks(Call& call, Choices& choices) {
  rig_socket_callbacks callbacks = counting;
  switch (choices.next() % 32) {
    case 1:
      callbacks.connected = nullptr;
      break;
    case 2:
      callbacks.data = nullptr;
      break;
    case 3:
      callbacks.closed = nullptr;
      break;
    default:
      return callbacks;
  }
  call.spoil();
  return callbacks;
}

rig_context* any_context(const Place& place, Choices& choices) {
  return place.contexts.empty() ? nullptr : place.contexts[choices.next() % place.contexts.size()];
}

void listen(Place& place, Choices& choices) {
  if (place.listeners.size() >= handles_max) {
    return;
  }
  Call call(choices);
  const rig_socket_config config = any_config(choices);
  rig_listener_callbacks callbacks = accepting;
  if (choices.next() % 16 == 1) {
    callbacks.accepted = nullptr;
    call.spoil();
  }
  rig_listener* made = nullptr;
  const rig_status status =
      place.subject.listen(call.often(place.loop), call.often(any_context(place, choices)), any_host(call), 0,
                           call.often(&config), call.often(&callbacks), &place, call.often(&made), call.error());
  if (status == RIG_OK) {
    place.listeners.push_back(made);
  }
  call.judge(status);
}

void connect(Place& place, Choices& choices) {
  if (place.sockets.size() >= handles_max) {
    return;
  }
  Call call(choices);
  const rig_socket_config config = any_config(choices);
  const rig_socket_callbacks callbacks = any_callbacks(call, choices);
  std::uint16_t port = choices.next();
  if (!place.listeners.empty() && port >= 64) {
    port = place.subject.listener_port(place.listeners[port % place.listeners.size()]);
  }
  auto seen = std::make_unique<Seen>(Seen{&place, nullptr, false});
  rig_socket* made = nullptr;
  const rig_status status =
      place.subject.connect(call.often(place.loop), call.often(any_context(place, choices)), any_host(call), port,
                            call.often(&config), call.often(&callbacks), seen.get(), call.often(&made), call.error());
  if (status == RIG_OK) {
    seen->socket = made;
    place.sockets.push_back(std::move(seen));
  }
  call.judge(status);
}

void send(Place& place, Choices& choices) {
  static const std::vector<std::uint8_t> bytes(20'000);
  rig_socket* const socket = place.socket(choices.next());
  if (socket == nullptr) {
    return;
  }
  Call call(choices);
  const std::uint8_t* const from = choices.next() % 8 == 1 ? nullptr : bytes.data();
  const std::size_t count = call.pick(std::array<Value<std::size_t>, 4>{{{0}, {1}, {16'385}, {20'000}}});
  const std::uint32_t flags =
      call.pick(std::array<Value<std::uint32_t>, 4>{{{0}, {RIG_SEND_MORE}, {2, true}, {1U << 31, true}}});
  if (from == nullptr && count > 0) {
    call.spoil();
  }
  rig_error error{};
  const rig_send_result result = place.subject.send(socket, 1, from, count, flags, &error);
  rig::demand(result <= RIG_SEND_REFUSED, "a send answered what there is not");
  rig_error* const told = call.error();
  if (told != nullptr) {
    *told = error;
  }
  call.judge(result == RIG_SEND_REFUSED ? error.status : RIG_OK);
}

void act(Place& place, Choices& choices) {
  const rig_subject& subject = place.subject;
  const std::array verbs{subject.pause, subject.resume, subject.renegotiate, subject.update_keys, subject.half_close};
  rig_socket* const socket = place.socket(choices.next());
  if (socket == nullptr) {
    return;
  }
  Call call(choices);
  const std::uint8_t which = choices.next() % (verbs.size() + 1);
  if (which < verbs.size()) {
    call.judge(verbs[which](call.often(socket), call.error()));
    return;
  }
  // Another number would be none of the enumeration, which C++ has no way to look at.
  const rig_close_mode mode = choices.next() % 2 == 0 ? RIG_CLOSE_GRACEFUL : RIG_CLOSE_ABORT;
  call.judge(subject.close(call.often(socket), mode, call.error()));
}

void destroy(Place& place, Choices& choices) {
  if (!place.sockets.empty()) {
    Seen& seen = *place.sockets[choices.next() % place.sockets.size()];
    if (seen.socket != nullptr) {
      place.subject.destroy(std::exchange(seen.socket, nullptr));
    }
  }
}

void ask(Place& place, Choices& choices) {
  Call call(choices);
  const char* const library =
      call.pick(std::array<Value<const char*>, 4>{{{"null"}, {""}, {"no such library"}, {nullptr}}});
  static_cast<void>(place.subject.capabilities(library));
  std::array<char, 8> text{};
  text.fill('x');
  const std::size_t room = choices.next() % (text.size() + 1);
  place.subject.library_version(library, text.data(), room);
  rig::demand(room == 0 || ::strnlen(text.data(), room) < room, "a version is told without its end");
  if (rig_socket* const socket = place.socket(choices.next()); socket != nullptr) {
    rig_socket_info info{};
    place.subject.info(socket, &info);
  }
  rig_loop_counts counts{};
  place.subject.loop_counts(place.loop, &counts);
  rig::demand(counts.listeners == place.listeners.size(), "a loop has more or fewer listeners than were opened");
}

void turn(Place& place, Choices& choices) {
  Call call(choices);
  const auto timeout_us = call.pick(std::array<Value<std::uint64_t>, 3>{{{0}, {1'000}, {20'000'000}}});
  call.judge(place.subject.loop_turn(call.often(place.loop), timeout_us, call.error()));
}

void give_back(Place& place, bool faulty) {
  const rig_subject& subject = place.subject;
  for (rig_listener* const listener : place.listeners) {
    subject.listener_close(listener);
  }
  for (const auto& seen : place.sockets) {
    if (seen->socket != nullptr) {
      subject.destroy(seen->socket);
    }
  }
  rig_loop_counts counts{};
  for (int turns = 0; turns < 100; ++turns) {
    rig_error error{};
    rig::demand(subject.loop_turn(place.loop, 0, &error) == RIG_OK || faulty, "a loop does not turn");
    subject.loop_counts(place.loop, &counts);
  }
  rig::demand(counts.listeners + counts.connecting + counts.handshaking + counts.open + counts.closing +
                      counts.undestroyed + counts.registrations ==
                  0,
              "a loop holds on to what was given back");
  for (const auto& seen : place.sockets) {
    rig::demand(seen->closed, "'closed' never came");
  }
  subject.loop_destroy(place.loop);
  for (rig_context* const context : place.contexts) {
    subject.context_destroy(context);
  }
}

// Whether a lack of memory is an error to the library. What lies below GnuTLS writes to a null pointer, or ends the
// process (reports/findings/0013), and the entropy of mbedTLS 3.6 reads from one (0046); 2.28 has no TLS 1.3.
bool bears_lack_of_memory() {
  const std::string_view library = rig::fuzz_backend();
  return library != "gnutls" && !(library == "mbedtls" && rig::find_backend(library)->capabilities().tls13);
}

// In some runs a call of the system fails for a reason that the errno table has, or the layer finds no memory.
std::vector<rig::lab::Fault> faults_of(Choices& choices, bool of_memory) {
  if (of_memory) {
    const std::uint64_t nth = 1 + choices.wide() % 2048U;
    return {{.kind = rig::lab::FaultKind::no_memory, .connection = {}, .nth = nth, .sticky = choices.next() % 2 != 0}};
  }
  const auto rows = rig::errno_rows();
  const rig::ErrnoRow& row = rows[choices.next() % rows.size()];
  const std::uint64_t nth = 1 + choices.next() % 16U;
  const auto op = rig::lab::op_from_word(rig::call_name(row.call));
  if (!op.has_value()) {
    return {};
  }
  return {{.kind = rig::lab::FaultKind::error, .connection = {}, .op = *op, .nth = nth, .amount = row.number}};
}

void run(Choices choices, bool fast_track, bool faulty) {
  const auto house = rig::find_subject("house");
  rig::demand(house.has_value(), "there is no house");
  rig::ViolationLog log;
  Place place{
      .subject = rig::through_app_door(**house, log), .loop = nullptr, .contexts = {}, .listeners = {}, .sockets = {}};
  const rig_loop_config config{.poller = RIG_POLLER_EPOLL, .fast_track = fast_track ? 1U : 0U};
  const rig_status status = place.subject.loop_create(&config, &place.loop, nullptr);
  rig::demand(status == RIG_OK || faulty, "there is no loop");
  if (status != RIG_OK) {
    return;
  }
  constexpr std::array verbs{create_loop, create_context, listen, connect, send, act, destroy, ask, turn};
  for (std::size_t calls = 0; calls < calls_max && choices.left(); ++calls) {
    verbs[choices.next() % verbs.size()](place, choices);
  }
  give_back(place, faulty);
  rig::found_if_broken(log);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  rig::enter_lab_or_end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned int seed) {
  return rig::mutate_choices(data, size, room, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices({data, size});
  const std::uint8_t first = choices.next();
  memory_fails = (first & 4) != 0 && bears_lack_of_memory();
  const bool faulty = memory_fails || (first & 2) != 0;
  const auto faults = faulty ? faults_of(choices, memory_fails) : std::vector<rig::lab::Fault>();
  rig::on_one_thread([=] { run(choices, (first & 1) != 0, faulty); }, faults);
  return 0;
}
