#include "fuzz/planted.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fuzz/finding.h"
#include "harness/base/check.h"
#include "harness/base/mutex.h"
#include "harness/engine/backend.h"
#include "harness/engine/forwarding_engine.h"
#include "harness/subjects/canary/canary.h"
#include "harness/subjects/canary/mix_up.h"
#include "harness/subjects/canary/spoiled_callbacks.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

constexpr std::string_view use_after_close = "use_after_close";
constexpr std::string_view no_clear = "no_clear";

struct Plant {
  std::string name;
  std::uint64_t moment = 1;
};

Plant read_plant(std::string_view text) {
  Plant plant;
  const std::size_t colon = text.find(':');
  plant.name = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view number = text.substr(colon + 1);
    const auto read = std::from_chars(number.data(), number.data() + number.size(), plant.moment);
    RIG_CHECK(read.ec == std::errc() && read.ptr == number.data() + number.size() && plant.moment > 0);
  }
  return plant;
}

constexpr std::string_view wrong_class = "wrong_class";

struct Mistake {
  rig_status right;
  rig_status told;
};
constexpr std::array<Mistake, 5> mistakes{{{RIG_PROTOCOL, RIG_HANDSHAKE_FAILED},
                                           {RIG_HANDSHAKE_FAILED, RIG_PROTOCOL},
                                           {RIG_VERIFICATION_FAILED, RIG_HANDSHAKE_FAILED},
                                           {RIG_PEER_ALERT, RIG_HANDSHAKE_FAILED},
                                           {RIG_TRUNCATED, RIG_PROTOCOL}}};
Mistake mistake{};

void spoil(rig_socket_callbacks& callbacks);
using Around = SpoiledCallbacks<spoil>;

void tell(void (*callback)(void* user, const rig_error* error), void* user, const rig_error* error) {
  if (error == nullptr || error->status != mistake.right) {
    callback(user, error);
    return;
  }
  rig_error other = *error;
  other.status = mistake.told;
  callback(user, &other);
}

void spoil(rig_socket_callbacks& callbacks) {
  callbacks.connected = [](void* user, const rig_error* error) { tell(Around::app().connected, user, error); };
  callbacks.closed = [](void* user, const rig_error* error) { tell(Around::app().closed, user, error); };
}

const Plant& asked() {
  static const Plant plant = [] {
    const char* const text = std::getenv("TLSRIG_PLANT");
    return text == nullptr ? Plant{} : read_plant(text);
  }();
  return plant;
}

// BelievesTheQueue is an engine of OpenSSL's whose layer does not clear the error queue before a read: SSL_get_error()
// then calls a read that only waits a failure.
class BelievesTheQueue final : public ForwardingEngine {
 public:
  BelievesTheQueue(std::unique_ptr<TlsEngine> inner, const AmbientSource& queue, std::uint64_t moment)
      : ForwardingEngine(std::move(inner)), queue_(queue), moment_(moment) {}
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    std::array<char, 256> sentence{};
    const bool stale = queue_.peek(sentence.data(), sentence.size()) != 0;
    auto step = inner_->read(plain, out);
    const bool waits = step.has_value() && step->bytes == 0 && step->need == Need::input;
    if (waits && ++waits_ == moment_ && stale) {
      return std::unexpected(Error(Code::protocol, sentence.data()));
    }
    return step;
  }

 private:
  const AmbientSource& queue_;
  const std::uint64_t moment_;
  std::uint64_t waits_ = 0;
};

// Notes is what a careless layer keeps of its sockets: how often each has sent. One that is closed after `moment` sends
// is freed at once, although the next send or destroy of that socket looks at it again.
struct Note {
  std::uint64_t sends = 0;
};

class Notes {
 public:
  void start(std::uint64_t moment) {
    const MutexLock lock(mutex_);
    notes_.clear();
    freed_.clear();
    moment_ = moment;
  }
  void sent(rig_socket* socket) {
    const MutexLock lock(mutex_);
    if (const auto freed = freed_.find(socket); freed != freed_.end()) {
      freed->second->sends += 1;  // the bug
      return;
    }
    auto& note = notes_[socket];
    if (note == nullptr) {
      note = std::make_unique<Note>();
    }
    ++note->sends;
  }
  void closed(rig_socket* socket) {
    const MutexLock lock(mutex_);
    if (const auto note = notes_.find(socket); note != notes_.end() && note->second->sends >= moment_) {
      freed_[socket] = note->second.get();
      notes_.erase(note);
    }
  }
  // An address may come back as another socket's.
  void destroyed(rig_socket* socket) {
    const MutexLock lock(mutex_);
    notes_.erase(socket);
    freed_.erase(socket);
  }

 private:
  Mutex mutex_;
  std::uint64_t moment_ RIG_GUARDED_BY(mutex_) = 1;
  std::map<rig_socket*, std::unique_ptr<Note>> notes_ RIG_GUARDED_BY(mutex_);
  std::map<rig_socket*, Note*> freed_ RIG_GUARDED_BY(mutex_);
};

const rig_subject* house() {
  const auto subject = find_subject("house");
  RIG_CHECK(subject.has_value());
  return *subject;
}

Notes& notes() {
  static Notes& all = *new Notes;
  return all;
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  notes().sent(socket);
  return house()->send(socket, token, bytes, count, flags, error);
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error* error) {
  notes().closed(socket);
  return house()->close(socket, mode, error);
}

void destroy(rig_socket* socket) {
  notes().destroyed(socket);
  house()->destroy(socket);
}

const rig_subject* careless(std::uint64_t moment) {
  static const rig_subject table = [] {
    rig_subject made = *house();
    made.send = send;
    made.close = close;
    made.destroy = destroy;
    return made;
  }();
  notes().start(moment);
  return &table;
}

const AmbientSource* queue_of(const TlsEngine& engine) {
  const Backend* const backend = find_backend(engine.facts().library);
  RIG_CHECK(backend != nullptr);
  return backend->ambient();
}

}  // namespace

std::unique_ptr<TlsEngine> planted_engine(std::unique_ptr<TlsEngine> engine) {
  const AmbientSource* const queue = asked().name == no_clear ? queue_of(*engine) : nullptr;
  if (queue == nullptr) {
    return engine;
  }
  return std::make_unique<BelievesTheQueue>(std::move(engine), *queue, asked().moment);
}

const rig_subject* planted_subject() {
  const Plant& plant = asked();
  if (plant.name.empty() || plant.name == no_clear) {
    return nullptr;
  }
  if (plant.name == use_after_close) {
    return careless(plant.moment);
  }
  if (plant.name == wrong_class) {
    mistake = mistakes[(plant.moment - 1) % mistakes.size()];
    return &Around::wrap(house());
  }
  if (const auto mix_up = std::ranges::find(mix_ups(), plant.name, &MixUpKind::name); mix_up != mix_ups().end()) {
    return make_mix_up(house(), mix_up->mix_up, plant.moment - 1);
  }
  const auto kind = std::ranges::find(canaries(), plant.name, &CanaryKind::name);
  if (kind == canaries().end()) {
    std::fprintf(stderr, "TLSRIG_PLANT=%s: there is no such bug to plant\n", plant.name.c_str());
    std::exit(EXIT_FAILURE);
  }
  return make_canary(house(), kind->canary, 0, plant.moment);
}

}  // namespace rig
