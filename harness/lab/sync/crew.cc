#include <pthread.h>

#include <atomic>
#include <vector>

#include "harness/lab/kernel_call.h"
#include "harness/lab/state.h"
#include "harness/lab/sync/sync.h"
#include "harness/lab/sync/threads.h"

namespace rig::lab {

struct Member {
  std::atomic<std::uint32_t> turn{0};  // of the present job's Thread as well: its first turn is what ends the parking
  pthread_t pthread{};
  Thread* record = nullptr;
  void* (*routine)(void*) = nullptr;
  void* argument = nullptr;
  void* result = nullptr;
  bool gone = false;  // has left by pthread_exit
};

namespace {

RIG_LAB_REAL(pthread_create);

constinit thread_local Member* member_here = nullptr;

// Crew is who is parked. A fork has none of the threads of the process that it came from.
struct Crew {
  std::int32_t process = 0;
  std::uint64_t run = 0;
  std::vector<Member*> all;
  std::vector<Member*> parked;  // the next one is the last
};

// A run begins when all threads of the one before have ended, also those that nobody joined.
Crew& crew() {
  static constinit Crew* present = nullptr;
  if (present == nullptr) {
    present = new Crew;  // never deleted: a thread may call the lab while the process ends
  }
  if (present->run != run_number()) {
    present->run = run_number();
    if (const std::int32_t process = kernel_process(); present->process != process) {
      present->process = process;
      present->all.clear();
    }
    std::erase_if(present->all, [](const Member* member) {
      const bool gone = member->gone;
      if (gone) {
        delete member;
      }
      return gone;
    });
    present->parked.assign(present->all.rbegin(), present->all.rend());
  }
  return *present;
}

void* member_main(void* raw) {
  Member& me = *static_cast<Member*>(raw);
  member_here = &me;
  for (;;) {
    sleep_till_turn(me.turn);
    begin_thread(me.record);
    order_after(&me.record);
    watch_end(true);
    me.result = me.routine(me.argument);
    watch_end(false);
    order_before(&me.result);
    release_detached();
    end_thread(AfterEnd::parks);
  }
}

Member* recruit() {
  auto* const member = new Member;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const int result = real_pthread_create(&member->pthread, &attributes, member_main, member);
  pthread_attr_destroy(&attributes);
  if (result != 0) {
    delete member;
    return nullptr;
  }
  crew().all.push_back(member);
  return member;
}

}  // namespace

Member* crew_create(pthread_t* handle, void* (*routine)(void*), void* argument) {
  if (!current()->options.crew) {
    return nullptr;
  }
  const Unwatched unwatched;
  std::vector<Member*>& parked = crew().parked;
  Member* member = nullptr;
  if (parked.empty()) {
    member = recruit();
  } else {
    member = parked.back();
    parked.pop_back();
  }
  if (member == nullptr) {
    return nullptr;
  }
  member->record = adopt(&member->turn);
  member->routine = routine;
  member->argument = argument;
  *handle = member->pthread;
  order_before(&member->record);
  return member;
}

Thread* record_of(const Member& member) {
  return member.record;
}

void* result_of(const Member& member) {
  order_after(&member.result);
  return member.result;
}

void crew_release(Member& member) {
  const Unwatched unwatched;
  if (!member.gone) {
    crew().parked.push_back(&member);
  }
}

void crew_exit(void* result) {
  if (Member* const me = member_here; me != nullptr) {
    me->result = result;
    me->gone = true;
    order_before(&me->result);
  }
}

}  // namespace rig::lab
