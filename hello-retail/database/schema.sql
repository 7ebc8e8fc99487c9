CREATE DATABASE helloRetail CHARACTER SET utf8mb4;
CREATE USER 'shop'@'%' IDENTIFIED BY 'shop-lab-only';
GRANT SELECT, INSERT, UPDATE, DELETE ON helloRetail.* TO 'shop'@'%';

USE helloRetail;

CREATE TABLE productCategory (
  category VARCHAR(64) PRIMARY KEY
);

CREATE TABLE productCatalog (
  id VARCHAR(32) PRIMARY KEY,
  brand VARCHAR(64) NOT NULL,
  name VARCHAR(128) NOT NULL,
  description TEXT NOT NULL,
  category VARCHAR(64) NOT NULL,
  KEY (category)
);

CREATE TABLE productPrice (
  id VARCHAR(32) PRIMARY KEY,
  price DECIMAL(10, 2) NOT NULL
);

CREATE TABLE creditCards (
  user VARCHAR(64) PRIMARY KEY,
  creditCard VARCHAR(32) NOT NULL
);

CREATE TABLE photoRegistrationTable (
  id VARCHAR(32) PRIMARY KEY,
  email VARCHAR(128) NOT NULL,
  assignments INT NOT NULL DEFAULT 0,
  delivered INT NOT NULL DEFAULT 0
);

CREATE TABLE photoAssignmentTable (
  product VARCHAR(32) PRIMARY KEY,
  photographer VARCHAR(32) NOT NULL
);

CREATE TABLE storedPhotosTable (
  product VARCHAR(32) PRIMARY KEY,
  photographer VARCHAR(32) NOT NULL,
  about VARCHAR(255) NOT NULL,
  image MEDIUMBLOB NOT NULL
);
