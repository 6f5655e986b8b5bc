//! `wasi:sockets`. An address is written as Rust does, `127.0.0.1:80`; those that come back lack the port, which is the
//! system's choice.

use std::net::SocketAddr;

use calls::{Call, Handles, Misunderstood, show};
use serde_json::json;

use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::types::{
    IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket, UdpSocket,
};
use crate::{Shown, stream, text};

#[derive(Default)]
pub struct Sockets {
    tcp: Handles<TcpSocket>,
    udp: Handles<UdpSocket>,
}

impl Sockets {
    pub async fn call(&mut self, call: &mut Call) -> Shown {
        Ok(match call.function.as_str() {
            "sockets/ip-name-lookup#resolve-addresses" => show(&resolve_addresses(call.next()?).await),
            "sockets/types#tcp-socket.create" => self.tcp.keep(TcpSocket::create(call.next()?)),
            "sockets/types#udp-socket.create" => self.udp.keep(UdpSocket::create(call.next()?)),
            function if function.contains("#tcp-socket.") => return self.tcp(call).await,
            _ => return self.udp(call).await,
        })
    }

    async fn tcp(&mut self, call: &mut Call) -> Shown {
        let name = call
            .function
            .trim_start_matches("sockets/types#tcp-socket.")
            .to_owned();
        let it = self.tcp.get(call)?;
        Ok(match name.as_str() {
            "bind" => show(&it.bind(address(call)?)),
            "connect" => show(&it.connect(address(call)?).await),
            "listen" => show(&it.listen().map(|_| ())),
            "send" => show(&it.send(stream(call.next()?)).await),
            "receive" => {
                let (bytes, ended) = it.receive();
                let bytes = bytes.collect().await;
                json!([text(&bytes), show(&ended.await)])
            }
            "get-local-address" => show(&it.get_local_address().map(host)),
            "get-remote-address" => show(&it.get_remote_address().map(host)),
            "get-is-listening" => show(&it.get_is_listening()),
            "get-address-family" => show(&it.get_address_family()),
            "set-listen-backlog-size" => show(&it.set_listen_backlog_size(call.next()?)),
            "get-keep-alive-enabled" => show(&it.get_keep_alive_enabled()),
            "set-keep-alive-enabled" => show(&it.set_keep_alive_enabled(call.next()?)),
            "get-keep-alive-idle-time" => show(&it.get_keep_alive_idle_time()),
            "set-keep-alive-idle-time" => show(&it.set_keep_alive_idle_time(call.next()?)),
            "get-keep-alive-interval" => show(&it.get_keep_alive_interval()),
            "set-keep-alive-interval" => show(&it.set_keep_alive_interval(call.next()?)),
            "get-keep-alive-count" => show(&it.get_keep_alive_count()),
            "set-keep-alive-count" => show(&it.set_keep_alive_count(call.next()?)),
            "get-hop-limit" => show(&it.get_hop_limit()),
            "set-hop-limit" => show(&it.set_hop_limit(call.next()?)),
            "get-receive-buffer-size" => show(&it.get_receive_buffer_size().map(|size| size > 0)),
            "set-receive-buffer-size" => show(&it.set_receive_buffer_size(call.next()?)),
            "get-send-buffer-size" => show(&it.get_send_buffer_size().map(|size| size > 0)),
            "set-send-buffer-size" => show(&it.set_send_buffer_size(call.next()?)),
            _ => return Err(Misunderstood::function(&call.function)),
        })
    }

    async fn udp(&mut self, call: &mut Call) -> Shown {
        let name = call
            .function
            .trim_start_matches("sockets/types#udp-socket.")
            .to_owned();
        let it = self.udp.get(call)?;
        Ok(match name.as_str() {
            "bind" => show(&it.bind(address(call)?)),
            "connect" => show(&it.connect(address(call)?)),
            "disconnect" => show(&it.disconnect()),
            "send" => {
                let data = call.next()?;
                let to = call
                    .next::<Option<String>>()?
                    .map(|text| parsed(&text))
                    .transpose()?;
                show(&it.send(data, to).await)
            }
            "receive" => show(&it.receive().await.map(|(data, from)| (text(&data), host(from)))),
            "get-local-address" => show(&it.get_local_address().map(host)),
            "get-remote-address" => show(&it.get_remote_address().map(host)),
            "get-address-family" => show(&it.get_address_family()),
            "get-unicast-hop-limit" => show(&it.get_unicast_hop_limit()),
            "set-unicast-hop-limit" => show(&it.set_unicast_hop_limit(call.next()?)),
            "get-receive-buffer-size" => show(&it.get_receive_buffer_size().map(|size| size > 0)),
            "set-receive-buffer-size" => show(&it.set_receive_buffer_size(call.next()?)),
            "get-send-buffer-size" => show(&it.get_send_buffer_size().map(|size| size > 0)),
            "set-send-buffer-size" => show(&it.set_send_buffer_size(call.next()?)),
            _ => return Err(Misunderstood::function(&call.function)),
        })
    }
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
