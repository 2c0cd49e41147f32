#include "harness/lab/kernel/file.h"

#include <algorithm>
#include <cerrno>

#include "harness/base/check.h"
#include "harness/lab/kernel/epoll.h"
#include "harness/lab/kernel/state.h"

namespace rig::lab {

File::File(const char* kind_word) : kind(kind_word), id(++kernel().files_made) {
  kernel().files.insert(this);
}

Answer File::read(const Transfer&) {
  return -EINVAL;
}

Answer File::write(const Transfer&) {
  return -EINVAL;
}

Answer File::control(unsigned long, void*) {
  return -ENOTTY;
}

Answer File::command(int, long) {
  return -EINVAL;
}

std::int64_t File::next_due_ns() {
  return never;
}

std::string File::describe() const {
  return std::string(kind) + " " + std::to_string(id);
}

void File::wake(std::uint32_t events) {
  wake_all(this);
  for (EpollItem* item : watchers) {
    notify(*item, events);
  }
}

void File::raise_edges() {
  for (EpollItem* item : watchers) {
    if ((item->events & EPOLLET) != 0) {
      notify(*item, ready());
    }
  }
}

void unreference(File& file) {
  RIG_CHECK(file.references > 0);
  if (--file.references > 0) {
    return;
  }
  while (!file.watchers.empty()) {
    forget(*file.watchers.back());
  }
  file.released();
  kernel().files.erase(&file);
  delete &file;
}

File* Descriptors::find(int descriptor) const {
  const Slot* found = slot(descriptor);
  return found != nullptr ? found->file : nullptr;
}

bool Descriptors::was_virtual(int descriptor) const {
  return slot(descriptor) != nullptr;
}

Descriptors::Slot* Descriptors::slot(int descriptor) {
  return const_cast<Slot*>(static_cast<const Descriptors*>(this)->slot(descriptor));
}

const Descriptors::Slot* Descriptors::slot(int descriptor) const {
  const std::int64_t index = static_cast<std::int64_t>(descriptor) - first_;
  return index >= 0 && index < static_cast<std::int64_t>(slots_.size()) ? &slots_[static_cast<std::size_t>(index)]
                                                                        : nullptr;
}

int Descriptors::add(File& file, bool close_on_exec, int least) {
  int descriptor = std::max(first_, least);
  while (find(descriptor) != nullptr) {
    ++descriptor;
  }
  add_at(descriptor, file, close_on_exec);
  return descriptor;
}

void Descriptors::add_at(int descriptor, File& file, bool close_on_exec) {
  RIG_CHECK(descriptor >= first_ && find(descriptor) == nullptr);
  const auto index = static_cast<std::size_t>(descriptor - first_);
  if (index >= slots_.size()) {
    slots_.resize(index + 1);
  }
  slots_[index] = {.file = &file, .close_on_exec = close_on_exec};
  ++file.references;
  ++open_;
}

Answer Descriptors::remove(int descriptor) {
  Slot* found = slot(descriptor);
  if (found == nullptr || found->file == nullptr) {
    return -EBADF;
  }
  File& file = *found->file;
  found->file = nullptr;
  --open_;
  unreference(file);
  return 0;
}

bool Descriptors::close_on_exec(int descriptor) const {
  return slot(descriptor)->close_on_exec;
}

void Descriptors::set_close_on_exec(int descriptor, bool on) {
  slot(descriptor)->close_on_exec = on;
}

}  // namespace rig::lab
