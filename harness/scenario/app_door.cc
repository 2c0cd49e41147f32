#include "harness/scenario/app_door.h"

#include <atomic>
#include <cstdint>
#include <string>

#include "harness/lab/census.h"

namespace rig {
namespace {

constinit const rig_subject* inner = nullptr;
constinit rig_subject door{};
constinit ViolationLog* violations = nullptr;

// Breach is what a callback can do wrong.
enum class Breach : std::uint8_t { outside, inside_verb, under_lock, deeper };
constinit std::atomic<std::uint32_t> reported{0};

// Visit is one call of a verb, on the stack of the thread that makes it.
struct Visit {
  std::string_view verb;
  bool calls_back = false;
  std::uint32_t locks = 0;            // that the rig held when it called
  std::uintptr_t first_callback = 0;  // where the stack was
  Visit* outer = nullptr;
};

constinit thread_local Visit* visit = nullptr;

void report(Breach breach, std::string_view where, const std::string& message) {
  const std::uint32_t bit = 1u << static_cast<std::uint32_t>(breach);
  if ((reported.fetch_or(bit) & bit) == 0) {
    violations->report(Law::c7_callbacks, std::string(where), message);
  }
}

void judge(std::string_view where, std::string_view callback) {
  const std::string name(callback);
  if (visit == nullptr) {
    report(Breach::outside, where, name + " came on a thread that turns no loop");
    return;
  }
  if (!visit->calls_back) {
    report(Breach::inside_verb, where, name + " came inside " + std::string(visit->verb));
  }
  if (const std::uint32_t locks = lab::locks_held(); locks > visit->locks) {
    report(Breach::under_lock, where,
           name + " came while the subject held " + std::to_string(locks - visit->locks) + " of its locks");
  }
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  visit->first_callback = visit->first_callback == 0 ? here : visit->first_callback;
  if (here < visit->first_callback && visit->first_callback - here > CalledBack::depth_growth_max) {
    report(Breach::deeper, where,
           name + " came from " + std::to_string(visit->first_callback - here) +
               " bytes deeper in the stack than the first callback of the same " + std::string(visit->verb));
  }
}

// Inside is a thread that is in a verb of the subject's.
class Inside {
 public:
  Inside(std::string_view verb, bool calls_back) noexcept
      : visit_{.verb = verb, .calls_back = calls_back, .locks = lab::locks_held(), .outer = visit} {
    visit = &visit_;
    LibraryWatch::control_enters();
    KernelWatch::control_enters();
  }
  ~Inside() {
    LibraryWatch::control_leaves();
    visit = visit_.outer;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Visit visit_;
  lab::Acting subject_{lab::Party::subject};
};

template <auto Verb>
constinit const char* name_of_verb = "";

template <auto Verb>
constexpr bool calls_back = false;
template <>
constexpr bool calls_back<&rig_subject::loop_turn> = true;
template <>
constexpr bool calls_back<&rig_subject::loop_destroy> = true;

// Told is what the watch of the process is told besides, of the verbs that turn and wake a loop.
template <auto Verb>
struct Told {
  explicit Told(const auto&...) {}
};

template <>
struct Told<&rig_subject::loop_turn> {
  Told(rig_loop* loop, std::uint64_t limit_us, rig_error*) { KernelWatch::turn_begins(loop, limit_us); }
  ~Told() { KernelWatch::turn_ends(); }
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;
};

template <>
struct Told<&rig_subject::loop_wake> {
  explicit Told(rig_loop* woken) : loop(woken), mark(KernelWatch::wake_begins(woken)) {}
  ~Told() { KernelWatch::wake_ends(loop, mark); }
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;

  rig_loop* const loop;
  const std::uint64_t mark;
};

template <auto Verb>
struct Through;

template <class Result, class... Arguments, Result (*rig_subject::*Verb)(Arguments...)>
struct Through<Verb> {
  // An exception must not cross the C interface: it would leave half of the rig's work undone.
  static Result call(Arguments... arguments) noexcept {
    const Inside inside(name_of_verb<Verb>, calls_back<Verb>);
    [[maybe_unused]] const Told<Verb> told(arguments...);
    return (inner->*Verb)(arguments...);
  }
};

template <auto Verb>
void lead(const char* name) {
  name_of_verb<Verb> = name;
  door.*Verb = inner->*Verb != nullptr ? Through<Verb>::call : nullptr;
}

#define RIG_LEAD(verb) lead<&rig_subject::verb>(#verb)

void lead_through() {
  RIG_LEAD(loop_create);
  RIG_LEAD(loop_turn);
  RIG_LEAD(loop_wake);
  RIG_LEAD(loop_counts);
  RIG_LEAD(loop_destroy);
  RIG_LEAD(context_create);
  RIG_LEAD(context_destroy);
  RIG_LEAD(listen);
  RIG_LEAD(listener_port);
  RIG_LEAD(listener_close);
  RIG_LEAD(connect);
  RIG_LEAD(adopt);
  RIG_LEAD(send);
  RIG_LEAD(pause);
  RIG_LEAD(resume);
  RIG_LEAD(renegotiate);
  RIG_LEAD(update_keys);
  RIG_LEAD(half_close);
  RIG_LEAD(close);
  RIG_LEAD(destroy);
  RIG_LEAD(info);
}

#undef RIG_LEAD

}  // namespace

CalledBack::CalledBack(std::string_view where, std::string_view callback) noexcept {
  LibraryWatch::control_leaves();
  judge(where, callback);
}

CalledBack::~CalledBack() {
  LibraryWatch::control_enters();
  KernelWatch::control_enters();
}

const rig_subject& through_app_door(const rig_subject& subject, ViolationLog& log) {
  violations = &log;
  reported.store(0);
  if (&subject == &door) {
    return door;
  }
  inner = &subject;
  door = subject;
  lead_through();
  return door;
}

}  // namespace rig
