//! `wasi:sockets`. An address is written as Rust does, `127.0.0.1:80`; those that come back lack the port where it is the
//! system's choice.

use std::net::SocketAddr;

use calls::{Call, Handles, Misunderstood, show};
use serde_json::{Value, json};

use crate::Shown;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::{ResolveAddressStream, resolve_addresses};
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::sockets::udp::{
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::io::Io;

#[derive(Default)]
pub struct Sockets {
    incoming: Handles<IncomingDatagramStream>,
    outgoing: Handles<OutgoingDatagramStream>,
    udp: Handles<UdpSocket>,
    tcp: Handles<TcpSocket>,
    names: Handles<ResolveAddressStream>,
    networks: Handles<Network>,
}

impl Sockets {
    pub fn call(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        Ok(match call.function.as_str() {
            "sockets/instance-network#instance-network" => self.networks.add(instance_network()),
            "sockets/ip-name-lookup#resolve-addresses" => {
                let network = self.networks.get(call)?;
                let found = resolve_addresses(network, &call.next::<String>()?);
                self.names.keep(found)
            }
            "sockets/ip-name-lookup#resolve-address-stream.resolve-next-address" => {
                show(&self.names.get(call)?.resolve_next_address())
            }
            "sockets/ip-name-lookup#resolve-address-stream.subscribe" => {
                io.pollables.add(self.names.get(call)?.subscribe())
            }
            "sockets/tcp-create-socket#create-tcp-socket" => self.tcp.keep(create_tcp_socket(call.next()?)),
            "sockets/udp-create-socket#create-udp-socket" => self.udp.keep(create_udp_socket(call.next()?)),
            function if function.contains("/tcp#") => return self.tcp(call, io),
            function if function.contains("#udp-socket.") => return self.udp(call, io),
            _ => return self.datagrams(call, io),
        })
    }

    fn tcp(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        let name = call
            .function
            .trim_start_matches("sockets/tcp#tcp-socket.")
            .to_owned();
        let it = self.tcp.get(call)?;
        Ok(match name.as_str() {
            "start-bind" => {
                let network = self.networks.get(call)?;
                show(&it.start_bind(network, address(call)?))
            }
            "finish-bind" => show(&ready(|| it.finish_bind())),
            "start-connect" => {
                let network = self.networks.get(call)?;
                show(&it.start_connect(network, address(call)?))
            }
            "finish-connect" => match ready(|| it.finish_connect()) {
                Ok((input, output)) => json!({"ok": [io.inputs.add(input), io.outputs.add(output)]}),
                Err(error) => json!({"err": show(&error)}),
            },
            "start-listen" => show(&it.start_listen()),
            "finish-listen" => show(&it.finish_listen()),
            "accept" => match it.accept() {
                Ok((socket, input, output)) => {
                    json!({"ok": [self.tcp.add(socket), io.inputs.add(input), io.outputs.add(output)]})
                }
                Err(error) => json!({"err": show(&error)}),
            },
            "local-address" => show(&it.local_address().map(host)),
            "remote-address" => show(&it.remote_address().map(host)),
            "is-listening" => show(&it.is_listening()),
            "address-family" => show(&it.address_family()),
            "set-listen-backlog-size" => show(&it.set_listen_backlog_size(call.next()?)),
            "keep-alive-enabled" => show(&it.keep_alive_enabled()),
            "set-keep-alive-enabled" => show(&it.set_keep_alive_enabled(call.next()?)),
            "keep-alive-idle-time" => show(&it.keep_alive_idle_time()),
            "set-keep-alive-idle-time" => show(&it.set_keep_alive_idle_time(call.next()?)),
            "keep-alive-interval" => show(&it.keep_alive_interval()),
            "set-keep-alive-interval" => show(&it.set_keep_alive_interval(call.next()?)),
            "keep-alive-count" => show(&it.keep_alive_count()),
            "set-keep-alive-count" => show(&it.set_keep_alive_count(call.next()?)),
            "hop-limit" => show(&it.hop_limit()),
            "set-hop-limit" => show(&it.set_hop_limit(call.next()?)),
            "receive-buffer-size" => show(&it.receive_buffer_size().map(|size| size > 0)),
            "set-receive-buffer-size" => show(&it.set_receive_buffer_size(call.next()?)),
            "send-buffer-size" => show(&it.send_buffer_size().map(|size| size > 0)),
            "set-send-buffer-size" => show(&it.set_send_buffer_size(call.next()?)),
            "subscribe" => io.pollables.add(it.subscribe()),
            "shutdown" => show(&it.shutdown(call.next()?)),
            _ => return Err(Misunderstood::function(&call.function)),
        })
    }

    fn udp(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        let name = call
            .function
            .trim_start_matches("sockets/udp#udp-socket.")
            .to_owned();
        let it = self.udp.get(call)?;
        Ok(match name.as_str() {
            "start-bind" => {
                let network = self.networks.get(call)?;
                show(&it.start_bind(network, address(call)?))
            }
            "finish-bind" => show(&ready(|| it.finish_bind())),
            "stream" => match it.stream(optional(call)?) {
                Ok((incoming, outgoing)) => {
                    json!({"ok": [self.incoming.add(incoming), self.outgoing.add(outgoing)]})
                }
                Err(error) => json!({"err": show(&error)}),
            },
            "local-address" => show(&it.local_address().map(host)),
            "remote-address" => show(&it.remote_address().map(host)),
            "address-family" => show(&it.address_family()),
            "unicast-hop-limit" => show(&it.unicast_hop_limit()),
            "set-unicast-hop-limit" => show(&it.set_unicast_hop_limit(call.next()?)),
            "receive-buffer-size" => show(&it.receive_buffer_size().map(|size| size > 0)),
            "set-receive-buffer-size" => show(&it.set_receive_buffer_size(call.next()?)),
            "send-buffer-size" => show(&it.send_buffer_size().map(|size| size > 0)),
            "set-send-buffer-size" => show(&it.set_send_buffer_size(call.next()?)),
            "subscribe" => io.pollables.add(it.subscribe()),
            _ => return Err(Misunderstood::function(&call.function)),
        })
    }

    fn datagrams(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        Ok(match call.function.as_str() {
            "sockets/udp#incoming-datagram-stream.receive" => {
                let received = self.incoming.get(call)?.receive(call.next()?);
                let shown = |received: Vec<_>| -> Vec<Value> { received.into_iter().map(datagram).collect() };
                show(&received.map(shown))
            }
            "sockets/udp#incoming-datagram-stream.subscribe" => {
                io.pollables.add(self.incoming.get(call)?.subscribe())
            }
            "sockets/udp#outgoing-datagram-stream.check-send" => {
                show(&self.outgoing.get(call)?.check_send().map(|count| count > 0))
            }
            "sockets/udp#outgoing-datagram-stream.send" => {
                let stream = self.outgoing.get(call)?;
                let data: Vec<u8> = call.next()?;
                let datagram = OutgoingDatagram {
                    data,
                    remote_address: optional(call)?,
                };
                show(&stream.send(&[datagram]))
            }
            "sockets/udp#outgoing-datagram-stream.subscribe" => {
                io.pollables.add(self.outgoing.get(call)?.subscribe())
            }
            other => return Err(Misunderstood::function(other)),
        })
    }
}

/// The result of what was started, which its pollable announces late for some.
fn ready<T>(finish: impl Fn() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match finish() {
            Err(ErrorCode::WouldBlock) => {
                crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration(1_000_000).block();
            }
            result => return result,
        }
    }
}

fn datagram(received: crate::bindings::wasi::sockets::udp::IncomingDatagram) -> Value {
    json!([
        String::from_utf8_lossy(&received.data),
        host(received.remote_address)
    ])
}

fn host(address: IpSocketAddress) -> String {
    match address {
        IpSocketAddress::Ipv4(address) => {
            let (a, b, c, d) = address.address;
            format!("{a}.{b}.{c}.{d}")
        }
        IpSocketAddress::Ipv6(address) => format!("{:?}", address.address),
    }
}

fn optional(call: &mut Call) -> Result<Option<IpSocketAddress>, Misunderstood> {
    call.next::<Option<String>>()?
        .map(|text| parsed(&text))
        .transpose()
}

fn address(call: &mut Call) -> Result<IpSocketAddress, Misunderstood> {
    parsed(&call.next::<String>()?)
}

fn parsed(text: &str) -> Result<IpSocketAddress, Misunderstood> {
    match text
        .parse()
        .map_err(|_| Misunderstood::new(format!("no address: {text}")))?
    {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            Ok(IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            }))
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            Ok(IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            }))
        }
    }
}
