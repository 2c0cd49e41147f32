// Owned objects of C libraries: what is freed by a function of the library, and what lies between its init and its
// free.
#pragma once

namespace rig {

// Free is the deleter that calls the library's function `release` on what a unique_ptr owns.
template <auto release>
struct Free {
  template <typename T>
  void operator()(T* object) const noexcept {
    release(object);
  }
};

// InPlace is a library object between its init and its free. Owns: the object and all that it allocates.
template <typename T, void (*init)(T*), void (*release)(T*)>
class InPlace {
 public:
  InPlace() noexcept { init(&value_); }
  ~InPlace() { release(&value_); }
  InPlace(const InPlace&) = delete;
  InPlace& operator=(const InPlace&) = delete;

  // reset makes the object as new.
  void reset() noexcept {
    release(&value_);
    init(&value_);
  }

  T* get() noexcept { return &value_; }
  const T* get() const noexcept { return &value_; }
  T* operator->() noexcept { return &value_; }
  const T* operator->() const noexcept { return &value_; }

 private:
  T value_;
};

}  // namespace rig
