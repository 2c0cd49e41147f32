// Unseen: what the lab does with its own memory is hidden from ThreadSanitizer.
#pragma once

// Present only in an executable with ThreadSanitizer's runtime.
extern "C" {
[[gnu::weak]] void __tsan_ignore_thread_begin();
[[gnu::weak]] void __tsan_ignore_thread_end();
}

namespace rig::lab {

// Unseen stands while the lab's own lists grow, shrink or are read. The lab is not instrumented, but the memory it
// allocates and frees is watched, and the token that orders what the threads do to it is hidden on purpose. Thread:
// any; they nest.
class Unseen {
 public:
  Unseen() noexcept {
    if (__tsan_ignore_thread_begin != nullptr) {
      __tsan_ignore_thread_begin();
    }
  }
  ~Unseen() {
    if (__tsan_ignore_thread_end != nullptr) {
      __tsan_ignore_thread_end();
    }
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
};

}  // namespace rig::lab
