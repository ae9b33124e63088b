// A directory that lives as long as its test, and a CA in it with a server and a device, made at run time. Needs the
// certs module.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <stdlib.h>

#include "certs/authority.hpp"
#include "certs/tls_context.hpp"

namespace fb::tests {

class scratch_directory {
  public:
    scratch_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "fotabroker-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
        path_ = name;
    }
    ~scratch_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline std::string file_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void put_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

/// ca.*, server.* (localhost, 127.0.0.1) and one device in one directory.
class test_authority {
  public:
    explicit test_authority(const std::string& device = "dev-1") {
        certs::init_authority(directory_.path(), "Test CA", {});
        certs::issue_server(directory_.path(), {"localhost", "127.0.0.1"}, directory_.path(), {});
        add_device(device);
    }
    void add_device(const std::string& id, int days = 365) {
        certs::issue_device(directory_.path(), id, directory_.path(), {std::chrono::days(days), true});
    }
    std::filesystem::path file(const std::string& name) const { return directory_ / name; }
    const std::filesystem::path& path() const { return directory_.path(); }

    certs::tls_settings settings(certs::client_certificates clients = certs::client_certificates::none) const {
        certs::tls_settings result;
        result.certificate = file("server.crt");
        result.key = file("server.key");
        if (clients != certs::client_certificates::none) result.client_ca = file("ca.crt");
        result.clients = clients;
        return result;
    }

  private:
    scratch_directory directory_;
};

} // namespace fb::tests
