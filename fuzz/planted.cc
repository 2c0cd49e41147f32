#include "fuzz/planted.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "fuzz/finding.h"
#include "harness/base/check.h"
#include "harness/base/mutex.h"
#include "harness/subjects/canary/canary.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

constexpr std::string_view use_after_close = "use_after_close";

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

}  // namespace

const rig_subject* planted_subject() {
  const char* const asked = std::getenv("TLSRIG_PLANT");
  if (asked == nullptr) {
    return nullptr;
  }
  static const Plant plant = read_plant(asked);
  if (plant.name == use_after_close) {
    return careless(plant.moment);
  }
  const auto kind = std::ranges::find(canaries(), plant.name, &CanaryKind::name);
  if (kind == canaries().end()) {
    std::fprintf(stderr, "TLSRIG_PLANT=%s: there is no such bug to plant\n", asked);
    std::exit(EXIT_FAILURE);
  }
  return make_canary(house(), kind->canary, 0, plant.moment);
}

}  // namespace rig
