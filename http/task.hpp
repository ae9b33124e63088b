// The coroutine type of this folder. Every task runs on the one HTTP thread; errors come as values.
#pragma once

#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

// With optimisation g++ 12 inlines one of a coroutine frame's operator new and delete, and takes the two for a
// mismatched pair.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace fb::http {

namespace asio = boost::asio;

using executor = asio::io_context::executor_type;
using steady = std::chrono::steady_clock;
using timer = asio::basic_waitable_timer<steady, asio::wait_traits<steady>, executor>;
using error_code = boost::system::error_code;

template <class T>
using task = asio::awaitable<T, executor>;

/// `auto [error, ...] = co_await object.async_x(..., as_values);`
inline constexpr auto as_values = asio::as_tuple(asio::use_awaitable_t<executor>{});

} // namespace fb::http
