// How the events of the kernel door are handed to the laws of descriptors.
#pragma once

#include <cstdint>

#include "harness/base/kernel_door.h"
#include "harness/oracle/descriptor_audit.h"

namespace rig {

// DescriptorScope is which descriptors are judged: the sockets of a program that nobody knows, or all that a layer
// opens, where each call is known to be the layer's or somebody else's.
enum class DescriptorScope : std::uint8_t { sockets, all };

// feed hands a call that came back to `audit`. Calls of the layer that is judged are those of DescriptorOwner::judged;
// of others, what opens and closes matters only. Thread: any.
void feed(DescriptorAudit& audit, DescriptorScope scope, DescriptorOwner owner, const KernelCall& call,
          const KernelReturn& result) noexcept;

// use_of is a call as DescriptorAudit has it.
inline DescriptorAudit::Use use_of(const KernelCall& call) noexcept {
  return {.descriptor = call.descriptor, .function = call.function, .caller = call.caller};
}

// opens says that the result of a call is a new descriptor.
inline bool opens(KernelVerb verb) noexcept {
  return verb == KernelVerb::socket || verb == KernelVerb::open || verb == KernelVerb::duplicate ||
         verb == KernelVerb::accept;
}

}  // namespace rig
