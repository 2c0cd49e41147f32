#include "harness/base/call_stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/base/symbol_table.h"

namespace rig {

namespace {

// The rig's own frames come first; there are few of them.
constexpr int depth_max = 40;

std::string function_name(const char* symbol) {
  int status = -1;
  char* const readable = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : symbol;
  std::free(readable);
  return name;
}

}  // namespace

void CallStack::prepare() noexcept {
  _Unwind_Backtrace([](_Unwind_Context*, void*) { return _URC_END_OF_STACK; }, nullptr);
}

// An unwound frame costs some 200 ns, and each of the library's own complaints is captured: no frame more than is kept.
CallStack CallStack::capture(const void* from) noexcept {
  struct Walk {
    const void* from;
    CallStack kept;
    int seen;
    bool begun;
  } walk{.from = from, .kept = {}, .seen = 0, .begun = false};
  const auto step = [](_Unwind_Context* context, void* raw) {
    Walk& at = *static_cast<Walk*>(raw);
    const void* const frame = reinterpret_cast<const void*>(_Unwind_GetIP(context));
    if (!at.begun && frame == at.from) {
      at.begun = true;
      at.kept.count_ = 0;
    }
    // The first frame is capture's own. Until `from` is met, what is kept is the answer for a stack without it.
    if (at.seen > 0 && at.kept.count_ < frames_max) {
      at.kept.frames_[at.kept.count_++] = frame;
    }
    const bool enough = at.begun && at.kept.count_ == frames_max;
    return enough || ++at.seen == depth_max ? _URC_END_OF_STACK : _URC_NO_REASON;
  };
  _Unwind_Backtrace(step, &walk);
  return walk.kept;
}

std::string describe_place(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  // A return address may be the first byte of the next function: the call is what is looked up.
  const auto* const at = static_cast<const char*>(address) - 1;
  if (dladdr1(at, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || info.dli_fname == nullptr) {
    return "?";
  }
  const char* const slash = std::strrchr(info.dli_fname, '/');
  char place[200];
  std::snprintf(place, sizeof place, "%s+0x%zx", slash != nullptr ? slash + 1 : info.dli_fname,
                static_cast<std::size_t>(at - static_cast<const char*>(info.dli_fbase)));
  if (info.dli_sname != nullptr) {
    return function_name(info.dli_sname) + " (" + place + ")";
  }
  // The name that the loader has for the program itself may be relative to a folder that it has left.
  const bool is_program = map != nullptr && map->l_name[0] == '\0';
  const auto in_file = reinterpret_cast<std::uintptr_t>(at) - (map != nullptr ? map->l_addr : 0);
  const std::string name = function_in_file(is_program ? "/proc/self/exe" : info.dli_fname, in_file);
  return name.empty() ? place : function_name(name.c_str()) + " (" + place + ")";
}

std::string CallStack::describe() const {
  std::string text;
  for (std::size_t i = 0; i < count_; ++i) {
    text += i == 0 ? "" : " <- ";
    text += describe_place(frames_[i]);
  }
  return text;
}

}  // namespace rig
