// CallStack: where a thread was, and the names of those places.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace rig {

// CallStack is the return addresses of a thread, innermost first. Addresses differ between runs: they are for a
// person's eyes, through describe(), and never enter anything that is compared or hashed.
class CallStack {
 public:
  // capture takes the calling thread's stack, beginning with the frame that holds the address `from` (the return
  // address of a wrapper: what lies below is the rig's own), or with the caller of capture if no frame holds it. It
  // allocates nothing and takes no lock, once prepare() has been called. Thread: any.
  static CallStack capture(const void* from) noexcept;

  // prepare loads what an unwinder loads at its first use. It is called before anything is watched. Thread: any.
  static void prepare() noexcept;

  bool empty() const noexcept { return count_ == 0; }
  // site is the innermost address: two reports of one site are one report.
  const void* site() const noexcept { return count_ == 0 ? nullptr : frames_[0]; }

  // describe names the frames: "drain (server+0x1a2b) <- on_readable (server+0x1f00)". What has no name is a module and
  // an offset, which addr2line reads. It allocates. Thread: any.
  std::string describe() const;

  static constexpr std::size_t frames_max = 10;

 private:
  std::array<const void*, frames_max> frames_{};
  std::size_t count_ = 0;
};

// describe_place is one frame of such a description.
std::string describe_place(const void* address);

}  // namespace rig
