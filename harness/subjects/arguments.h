// What stands in the arguments of a verb of subject.h, looked at before any layer acts upon it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "harness/base/error.h"
#include "harness/subjects/abi.h"
#include "harness/subjects/subject.h"

namespace rig {

// there refuses a null where something must stand. Errors: invalid_argument, with `name` in the sentence.
Status there(const void* argument, std::string_view name) noexcept;

// sound refuses what subject.h gives no meaning to: a null where something must stand, a number that is not in its
// lists, half of a pair. What a layer or a library cannot do is for them to say. Errors: invalid_argument, with the
// member's name in the sentence.
Status sound(const rig_loop_config* config) noexcept;
Status sound(const rig_context_config* config) noexcept;
Status sound(const rig_socket_callbacks* callbacks) noexcept;
Status sound(const rig_listener_callbacks* callbacks) noexcept;
// sound_beginning looks at what listen() and connect() share but for the callbacks; the new handle goes to `made`.
Status sound_beginning(const rig_loop* loop, const rig_context* context, const char* host,
                       const rig_socket_config* config, const void* made, std::string_view made_name) noexcept;
Status sound_send(const std::uint8_t* bytes, std::size_t count, std::uint32_t flags) noexcept;

}  // namespace rig

// RIG_TRY_ABI returns from a verb, with the status and the filled `error`, if the Status `expression` is a refusal.
#define RIG_TRY_ABI(expression, error)                                 \
  do {                                                                 \
    if (const auto rig_sound = (expression); !rig_sound.has_value()) { \
      return rig::to_abi(rig_sound.error(), error);                    \
    }                                                                  \
  } while (false)
