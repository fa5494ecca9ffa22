// The one place where the non-template parts of Asio, its TLS layer and Beast are compiled: every
// other file sees declarations only (BOOST_*_SEPARATE_COMPILATION is defined for all targets).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
