// What a kernel accepts: NumPy arrays and numbers as they are, never converted. The refusals are worded in checks.py.
#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <utility>
#include <vector>

#include "table.hpp"

namespace fusedoptim {

namespace py = pybind11;

template <class... Arguments>
[[noreturn]] void refuse(const char* reason, Arguments&&... arguments) {
  py::module_::import("fusedoptim.core.checks").attr(reason)(std::forward<Arguments>(arguments)...);
  throw py::type_error(std::string("refused without a word: ") + reason);
}

// The same where it may turn out that there is nothing to refuse.
template <class... Arguments>
void refuse_if(const char* reason, Arguments&&... arguments) {
  py::module_::import("fusedoptim.core.checks").attr(reason)(std::forward<Arguments>(arguments)...);
}

// What an error calls an argument: `w`, or `params` and the place in the nest, `["layer"][0]`.
struct Name {
  const char* argument;
  const char* path = "";
  std::string str() const { return std::string(argument) + path; }
};

struct Buffer {
  Name name;
  py::handle array;  // borrowed
  char* begin;
  std::size_t n;
  int dtype;  // that a step computes in
  Storage storage = Storage::native;
  std::size_t item() const {
    if (storage != Storage::native) return bytes_of(storage);
    return dtype == 0 ? sizeof(float) : sizeof(double);
  }
  char* end() const { return begin + n * item(); }
};

enum class Access { read, write };

// Refuses all but a plain C-contiguous aligned array of native float32 or float64; a read-only one if it is to be
// written; and another dtype than that of `like`, or a shape that does not go with it.
Buffer buffer(Name name, py::handle object, Access access, const Buffer* like = nullptr, Shape shape = Shape::weight);

// The same of any dtype that says `storage`, which is one of 16 bits or native.
Buffer buffer_of_any_width(Name name, py::handle object, Access access, const Buffer* like = nullptr);

// A number of Python or NumPy as an array without axes, such as `like`; null for all else, also for what a class in
// Python makes of them, whose code might run.
py::object array_of_number(py::handle object, const Buffer& like);

// Sorts buffers by their addresses, drops empty ones, and refuses any two that overlap.
void sort_apart(std::vector<Buffer>& buffers);

using Axes = std::vector<std::size_t>;
Axes axes_of(const Buffer& array);

// A plain array that belongs to another, as bytes; refuses any but one of this dtype and shape.
Buffer companion(Name name, py::handle object, const char* dtype, const Axes& shape);

// Whether it is an array of NumPy's own class and of a dtype that a step computes in.
bool is_wide(py::handle object);

// Arrays as they were when they were accepted: memory, shape and dtype of each can be changed in place.
class KnownArrays {
 public:
  void add(Name name, py::handle array);  // which somebody else keeps alive
  void add(const Buffer& accepted) { add(accepted.name, accepted.array); }
  std::size_t size() const { return entries.size(); }
  void set_access(std::size_t k, Access access);  // whether it must be writeable; it must, at first

  bool are_same() const;

  // Refuses where one is another now: of all, or of those from `first` to `end`.
  void check() const { check(0, size()); }
  void check(std::size_t first, std::size_t end) const;

 private:
  struct Entry {  // of one cache line: it comes before every step
    py::handle array;
    const char* data;
    PyObject* dtype;
    int flags, asked;
    std::ptrdiff_t n_axes, axes[2];  // those of more are in `shapes`
  };
  bool is_same(std::size_t k) const;

  std::vector<Entry> entries;
  std::vector<Axes> shapes;
  std::vector<Name> names;
  std::vector<py::object> dtypes;  // kept alive
};

// What it is called, and what it is for a weight of these axes, and a ring of so many slots.
const char* shape_name(Shape shape);
Axes state_shape(const std::string& name, const Axes& weight, std::size_t slots);

// The span of a weight, without its axes.
Span span_of(const Buffer& w);

// Whether an array is n rows such as `table` has.
bool has_rows_of(py::handle array, py::handle table, std::size_t n);

struct Indices {
  const void* data;
  std::size_t n;
  bool is_int64;  // else int32
};

// Refuses all but a plain C-contiguous aligned array of native int32 or int64 with one axis.
Indices indices(Name name, py::handle object);

constexpr Hyper l2_penalty = {"weight_decay", 0, Domain::non_negative};

// Refuses what is not a number of the domain; the message has the words for what may be given besides.
double number(const char* name, py::handle value, Domain domain, const char* besides = "");
inline double hyper_value(const Hyper& hyper, py::handle value) { return number(hyper.name, value, hyper.domain); }

// Domains by their names, as in `Domain`, and in words.
Domain domain_of(const std::string& name);
py::dict domain_words();

}  // namespace fusedoptim
