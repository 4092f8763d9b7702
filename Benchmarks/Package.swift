// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

let package = Package(
  name: "benchmarks",
  dependencies: [
    .package(name: "edgecore", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    .executableTarget(
      name: "benchmarks",
      dependencies: [
        .product(name: "CloudSimulator", package: "edgecore"),
        .product(name: "EdgeKit", package: "edgecore"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict)
  ],
  swiftLanguageModes: [.v6]
)
