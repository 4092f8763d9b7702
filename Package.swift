// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

let package = Package(
  name: "edgecore",
  products: [
    .executable(name: "edgecore", targets: ["edgecore"]),
    .executable(name: "edgectl", targets: ["edgectl"]),
    // For the benchmarks.
    .library(name: "CloudSimulator", targets: ["CloudSimulator", "YAML"]),
    // Preloaded into agents whose clock tests step.
    .library(name: "SteppedClock", type: .dynamic, targets: ["SteppedClock"]),
    .library(name: "EdgeKit", targets: ["Core", "Curl", "Runtime", "Edged", "KubernetesAPI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
  ],
  targets: [
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
    .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .target(name: "CLinux"),

    .target(name: "YAML", dependencies: ["CYAML"], swiftSettings: strict),
    .target(name: "SQLite", dependencies: ["CSQLite"], swiftSettings: strict),
    .target(name: "KubernetesAPI", swiftSettings: strict),
    .target(name: "Curl", dependencies: ["CCurl", "CLinux"], swiftSettings: strict),
    .target(
      name: "Core",
      dependencies: [
        "YAML", "CLinux",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(
      name: "HTTPServer",
      dependencies: [
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .target(name: "SPDY", swiftSettings: strict),
    .target(name: "LocalAPI", swiftSettings: strict),
    .target(
      name: "LocalServer",
      dependencies: [
        "Core", "HTTPServer", "KubernetesAPI", "LocalAPI", "YAML",
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(
      name: "GRPC",
      dependencies: [
        "Curl",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHPACK", package: "swift-nio-http2"),
        .product(name: "NIOHTTP2", package: "swift-nio-http2"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: strict),
    .target(
      name: "Runtime",
      dependencies: [
        "Curl", "CSeccomp", "CLinux", "GRPC", "SPDY",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["CRI/Protocol/cri.proto", "CRI/Protocol/containerd.proto"],
      swiftSettings: strict),
    .target(
      name: "Edged",
      dependencies: [
        "Core", "Curl", "HTTPServer", "KubernetesAPI", "LocalAPI", "Runtime", "SPDY", "YAML", "CLinux",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: strict),
    .target(
      name: "MetaManager",
      dependencies: [
        "Core", "KubernetesAPI", "LocalAPI", "SQLite", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(
      name: "WebSocket",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .target(
      name: "EdgeStream",
      dependencies: [
        "Core", "LocalAPI", "WebSocket", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(name: "MQTT", dependencies: ["CMosquitto", "CLinux"], swiftSettings: strict),
    .target(
      name: "EventBus",
      dependencies: [
        "Core", "KubernetesAPI", "LocalAPI", "MQTT", "SQLite", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(
      name: "ServiceBus",
      dependencies: [
        "Core", "Curl", "HTTPServer", "LocalAPI", "SQLite", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: strict),
    .target(
      name: "TestModule",
      dependencies: [
        "Core", "Curl", "HTTPServer", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .target(
      name: "EdgeHub",
      dependencies: [
        "Core", "Curl", "LocalAPI", "WebSocket", "YAML",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: strict),
    .target(
      name: "DMI",
      dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["dmi.proto"],
      swiftSettings: strict),
    .target(
      name: "DeviceTwin",
      dependencies: [
        "Core", "Curl", "DMI", "GRPC", "HTTPServer", "KubernetesAPI", "LocalAPI", "SQLite", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "edgecore",
      dependencies: [
        "CLinux", "Core", "DeviceTwin", "EdgeHub", "EdgeStream", "Edged", "EventBus", "LocalAPI", "LocalServer", "MetaManager",
        "ServiceBus",
        "TestModule", "YAML",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      // A static Swift exports all symbols of a program for whoever opens it as a library: 3 MB that nobody asks for.
      linkerSettings: [.unsafeFlags(["-Xlinker", "--no-export-dynamic"])]),
    .executableTarget(
      name: "edgectl",
      dependencies: [
        "Curl", "KubernetesAPI", "LocalAPI", "YAML", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(name: "YAMLTests", dependencies: ["YAML"], swiftSettings: strict),
    .testTarget(name: "SQLiteTests", dependencies: ["SQLite"], swiftSettings: strict),
    .testTarget(name: "KubernetesAPITests", dependencies: ["KubernetesAPI", "YAML"], swiftSettings: strict),
    .testTarget(name: "CurlTests", dependencies: ["Curl"], swiftSettings: strict),
    .testTarget(
      name: "CoreTests",
      dependencies: [
        "Core", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "HTTPServerTests",
      dependencies: [
        "HTTPServer", "Curl", "LocalAPI",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "GRPCTests",
      dependencies: [
        "Curl", "GRPC",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DeviceTwinTests",
      dependencies: [
        "Core", "Curl", "DMI", "DeviceTwin", "GRPC", "SQLite", "YAML",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(name: "SPDYTests", dependencies: ["SPDY"], swiftSettings: strict),
    .testTarget(name: "RuntimeTests", dependencies: ["Runtime", "Curl", "SPDY"], swiftSettings: strict),
    .testTarget(
      name: "EdgedTests",
      dependencies: [
        "CloudSimulator", "Core", "Edged", "Curl", "HTTPServer", "KubernetesAPI", "Runtime", "SPDY", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: strict),
    .testTarget(name: "MetaManagerTests", dependencies: ["MetaManager", "Core", "SQLite", "YAML"], swiftSettings: strict),
    .testTarget(
      name: "WebSocketTests",
      dependencies: [
        "WebSocket",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EdgeStreamTests",
      dependencies: [
        "EdgeStream", "Core", "CloudSimulator", "LocalAPI", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EdgeHubTests",
      dependencies: [
        "EdgeHub", "Core", "CloudSimulator", "LocalAPI", "WebSocket", "YAML",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: strict),
    .target(name: "TestBroker", path: "Tests/TestBroker", swiftSettings: strict),
    .testTarget(name: "MQTTTests", dependencies: ["MQTT", "TestBroker"], swiftSettings: strict),
    .testTarget(
      name: "EventBusTests",
      dependencies: [
        "EventBus", "Core", "CloudSimulator", "EdgeHub", "LocalAPI", "MQTT", "SQLite", "TestBroker", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ServiceBusTests",
      dependencies: [
        "ServiceBus", "EdgeHub", "Core", "CloudSimulator", "Curl", "HTTPServer", "LocalAPI", "SQLite", "YAML",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TestModuleTests",
      dependencies: [
        "TestModule", "Core", "Curl", "HTTPServer", "MetaManager", "YAML",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    // The cloud's side of the wire, for tests and for trying things without a cluster.
    .target(
      name: "CloudSimulator",
      dependencies: [
        "Core", "YAML",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      path: "Tests/CloudSimulator",
      swiftSettings: strict),
    .executableTarget(
      name: "cloudsim",
      dependencies: [
        "CloudSimulator", "Core", "Curl", "HTTPServer", "KubernetesAPI", "YAML",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      path: "Tests/cloudsim",
      swiftSettings: strict),
    .executableTarget(
      name: "testmapper",
      dependencies: [
        "Core", "Curl", "DMI", "GRPC",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      path: "Tests/mapper",
      swiftSettings: strict),
    // Loads upstream's agent as well as this one; the benchmarks' other programs are a package of their own.
    .executableTarget(
      name: "twinload",
      dependencies: [
        "MQTT", "YAML",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks/Sources/twinload",
      swiftSettings: strict),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "Core", "DeviceTwin", "EventBus", "KubernetesAPI", "MQTT", "MetaManager", "YAML",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/fuzz",
      swiftSettings: strict),
    .testTarget(
      name: "CloudSimulatorTests",
      dependencies: [
        "CloudSimulator", "Core", "Curl", "YAML",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      resources: [.copy("Recordings")],
      swiftSettings: strict),
    .target(name: "SteppedClock", path: "Tests/SteppedClock"),
    .testTarget(
      name: "IntegrationTests",
      dependencies: [
        "CloudSimulator", "Core", "edgecore", "edgectl", "testmapper", "Curl", "MQTT", "TestBroker", "KubernetesAPI", "LocalAPI", "SPDY",
        "YAML",
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
